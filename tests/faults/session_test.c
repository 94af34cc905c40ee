/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with xvmm, from its start over packets and control commands to its end, in which one
 * call fails. The guest is "net", and bounces frames. Whatever fails, xvmm must not crash, hang, or
 * keep quiet about work that it didn't do.
 *
 * XVMM, GUESTS and BACKEND are set as for the system tests, SHIM to the shim, DATAPATH to fd, tap,
 * vhost-net or vhost-user, PHASE to start, running or stopping; SANDBOX to on where a broker is to
 * have the control socket and to open things. If it fails, or dies, the guest must not notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "tests/guest/lib/frame.h"
#include "tests/system/process.h"
#include "tests/system/tap.h"

enum {
	BACKEND_MS = 5000,
	START_MS = 10000,  /* until the first frame comes back */
	QUIET_MS = 5000,   /* after which something is lost that nobody will bring back */
	TOLD_MS = 200,	   /* the same if xvmm has said so */
	ANSWER_MS = 10000, /* net-switch waits for a back-end for two seconds */
	ROUND_MS = 20,
	WINDOW = 8,
	FRAME = 200,
	STATUS_SKIP = 77,
};

static const uint8_t test_mac[6] = TEST_MAC;
static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 0x55};
#define GUEST_MAC "mac=02:00:00:00:00:55"

struct message {
	uint8_t header[sizeof(struct virtio_net_hdr_v1)];
	uint8_t frame[FRAME];
};

static struct plan *plan;
static struct process xvmm;
static pid_t backend;
static char directory[32], control[64], console[64], vhost_socket[64];
static int ends[2][2]; /* a pair of sockets: our end, xvmm's or the back-end's */
static int here;       /* which of them the device is on */
static int tap_socket;
static uint32_t number; /* of the next frame */
static bool refused;	/* a command, with an error */
static bool served;	/* the guest, all the time */

static bool on(const char *datapath)
{
	return strcmp(need_env("DATAPATH"), datapath) == 0;
}

static bool has_tap(void)
{
	return on("tap") || on("vhost-net");
}

/* --- xvmm and who helps it --- */

static void set_up(void)
{
	strcpy(directory, "/tmp/xvmm-faults.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(control, sizeof(control), "%s/control", directory);
	snprintf(console, sizeof(console), "file:%s/console", directory);
	snprintf(vhost_socket, sizeof(vhost_socket), "%s/vhost", directory);
	tap_socket = -1;
	atomic_store(&plan->n_processes, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends[i]), 0);
	if (has_tap()) {
		enter_network_namespace();
		tap_create("tap0");
		tap_socket = tap_open_socket("tap0");
	}
}

/* Does somebody listen there? The file alone is there a moment earlier. */
static bool listens(const char *path)
{
	static const char listening[] = " 00010000 "; /* __SO_ACCEPTCON */
	FILE *file = fopen("/proc/net/unix", "re");
	char line[512];
	bool found = false;

	ck_assert_ptr_nonnull(file);
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, path) && strstr(line, listening);
	fclose(file);
	return found;
}

static void start_backend(void)
{
	char mode[32];
	const char *const argv[] = {need_env("BACKEND"), "--socket", vhost_socket, mode, NULL};

	snprintf(mode, sizeof(mode), "socketpair/fd=%d", ends[0][1]);
	backend = fork();
	if (backend == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	for (int i = 0; i < BACKEND_MS && !listens(vhost_socket); i++)
		usleep(1000);
}

/* What the device is on, the first or the second. */
static const char *place(int which)
{
	static char spec[128];

	if (has_tap())
		return which == 0 && on("vhost-net") ? "tap0,vhost=on" : "tap0";
	if (which == 0 && on("vhost-user"))
		snprintf(spec, sizeof(spec), "vhost-user,socket=%s", vhost_socket);
	else
		snprintf(spec, sizeof(spec), "fd=%d", ends[which][1]);
	return spec;
}

static void start_xvmm(void)
{
	char net[256];
	const char *const argv[] = {need_env("XVMM"),
				    "--kernel",
				    guest_path("net"),
				    "--memory",
				    "32M",
				    "--net",
				    net,
				    "--control",
				    control,
				    "--console",
				    console,
				    "--cmdline",
				    "mode=bounce lossy=on mrg=on",
				    "--timeout",
				    "300",
				    "--sandbox",
				    need_env("SANDBOX"),
				    NULL};

	snprintf(net, sizeof(net), "%s,%s,switch=on,%s", place(0), GUEST_MAC,
		 on("fd") || on("vhost-net") ? "transport=mmio" : "transport=pci");
	atomic_store(&plan->phase, PHASE_START);
	setenv("LD_PRELOAD", need_env("SHIM"), 1);
	process_start(&xvmm, argv, -1);
	unsetenv("LD_PRELOAD");
	/* Ours is the other end, and sees when they are gone. */
	for (int i = 0; i < 2; i++)
		close(ends[i][1]);
}

/* Did xvmm say anything of its own? What it was asked to do is nothing. */
static bool has_told(void)
{
	static char text[sizeof(xvmm.text)];
	char *rest = text;

	process_read(&xvmm, 0);
	strcpy(text, xvmm.text);
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "xvmm: ", 6) == 0 && !strstr(line, "power button"))
			return true;
	}
	return false;
}

static bool running(void)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)xvmm.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       !info.si_pid;
}

static bool broker_failed(void)
{
	int process = faults_process();

	return process && process != xvmm.pid;
}

/* How long to wait for what may be lost, or not if it is none of the guest's business. */
static int patience(int ms)
{
	return has_told() && !broker_failed() ? TOLD_MS : ms;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Has the guest printed all of these? */
static bool on_console(const char *const *texts)
{
	char text[4096];
	int fd = open(console + strlen("file:"), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	while (*texts && strstr(text, *texts))
		texts++;
	return !*texts;
}

static const char *const all_it_prints[] = {"features", "ready\n", "interrupts", NULL};
static const char *const its_last_line[] = {"interrupts", NULL};

/* --- frames --- */

static void send_frame(uint8_t operation)
{
	static struct packet packet;
	static struct message message;
	uint8_t *frame = has_tap() ? packet.frame : message.frame;

	test_frame_fill((struct test_frame *)frame, guest_mac, test_mac, operation, number++,
			FRAME);
	packet.len = FRAME;
	if (has_tap())
		packet_send(tap_socket, &packet);
	else
		send(ends[here][0], &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A frame of the guest's that was ours. */
static bool take_frame(int ms)
{
	static struct packet packet;
	struct message message;
	const struct test_frame *frame;

	if (has_tap()) {
		if (!packet_receive(tap_socket, &packet, ms))
			return false;
		frame = (const struct test_frame *)packet.frame;
	} else {
		struct pollfd readable = {.fd = ends[here][0], .events = POLLIN};

		if (poll(&readable, 1, ms) != 1 ||
		    recv(ends[here][0], &message, sizeof(message), MSG_DONTWAIT) <= 0)
			return false;
		frame = (const struct test_frame *)message.frame;
	}
	return read_be16(frame->ethernet.type) == ETHERTYPE_TEST && frame->operation == TEST_DATA;
}

/* Until a frame comes back. Those on the way when something failed may be lost. */
static bool bounces(int ms)
{
	long begin = now_ms(), waited;

	do {
		for (int i = 0; i < WINDOW; i++)
			send_frame(TEST_DATA);
		for (int i = 0; i < WINDOW; i++) {
			if (take_frame(ROUND_MS))
				return true;
		}
		waited = now_ms() - begin;
	} while (running() && waited < patience(ms));
	return false;
}

/* --- commands --- */

static int connect_control(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", control);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A line that is no event; false: the connection is at its end, or nothing comes. */
static bool read_answer(int fd, char *line, size_t size)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (len < size - 1) {
		if (poll(&readable, 1, ANSWER_MS) != 1 || read(fd, line + len, 1) != 1)
			return false;
		if (line[len++] != '\n')
			continue;
		line[len] = '\0';
		if (!strstr(line, "\"event\""))
			return true;
		len = 0;
	}
	return false;
}

static bool command(int fd, const char *text)
{
	char line[4096];

	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || !read_answer(fd, line, sizeof(line)))
		return false;
	if (strncmp(line, "{\"error\"", 8) == 0)
		refused = true;
	return true;
}

static bool command_switch(int fd, int to)
{
	bool refused_before = refused, answered;
	char text[512];

	snprintf(
		text, sizeof(text),
		"{\"execute\": \"xvmm-net-switch\", \"arguments\": {\"id\": \"net0\", \"spec\": \"%s\"}}",
		place(to));
	refused = false;
	answered = command(fd, text);
	if (answered && !refused)
		here = to;
	refused |= refused_before;
	return answered;
}

/* All that there is. False if one was not answered: then the connection is lost. */
static bool command_all(int fd)
{
	char line[4096];

	return read_answer(fd, line, sizeof(line)) &&
	       command(fd, "{\"execute\": \"qmp_capabilities\"}") &&
	       command(fd, "{\"execute\": \"query-status\", \"id\": 1}") &&
	       command(fd, "{\"execute\": \"query-version\"}") &&
	       command(fd, "{\"execute\": \"query-commands\"}") &&
	       command(fd, "{\"execute\": \"xvmm-query-net\"}") &&
	       command(fd, "{\"execute\": \"set_link\", \"arguments\": {\"name\": \"net0\", "
			   "\"up\": false}}") &&
	       command(fd, "{\"execute\": \"set_link\", \"arguments\": {\"name\": \"net0\", "
			   "\"up\": true}}") &&
	       command_switch(fd, 1) && command_switch(fd, 0) &&
	       command(fd,
		       "{\"execute\": \"xvmm-net-announce\", \"arguments\": {\"id\": \"net0\"}}");
}

/* One connection may be lost, and nothing else with it. */
static bool commands_work(void)
{
	for (int i = 0; i < 2; i++) {
		int fd = connect_control();
		bool answered = fd >= 0 && command_all(fd);

		if (fd >= 0)
			close(fd);
		if (answered)
			return true;
	}
	return false;
}

/* A switch that was not answered may have been done. */
static bool bounces_somewhere(void)
{
	for (int i = 0; i < 2; i++) {
		if (bounces(QUIET_MS))
			return true;
		here = !here;
	}
	return false;
}

/* --- the session --- */

/* A frame that says so; and for a guest that doesn't hear it, signals. True: it heard it. */
static bool stop(void)
{
	long begin = now_ms();

	while (running() && now_ms() - begin < patience(QUIET_MS)) {
		send_frame(TEST_STOP);
		process_read(&xvmm, ROUND_MS);
	}
	if (!running() || on_console(its_last_line))
		return true;
	/* Two that come close together are one. */
	for (begin = now_ms(); running() && now_ms() - begin < QUIET_MS;) {
		kill(xvmm.pid, SIGTERM);
		usleep(ROUND_MS * 1000);
	}
	return false;
}

/* Everything. False if something was not done. */
static bool session(void)
{
	bool done;

	start_xvmm();
	served = bounces(START_MS);
	done = served;
	if (running()) {
		atomic_store(&plan->phase, PHASE_RUNNING);
		done = commands_work() && done;
		served = bounces_somewhere() && served;
		atomic_store(&plan->phase, PHASE_STOPPING);
		served = stop() && served;
	}
	return done && served;
}

static void tear_down(int status)
{
	/* The second signal may have come when it was about to end, and had no handler any more. */
	if (status == 128 + SIGTERM)
		unlink(control);
	unlink(console + strlen("file:"));
	unlink(vhost_socket);
	ck_assert_msg(rmdir(directory) == 0, "%s: xvmm has left something there (%s)", directory,
		      faults_text());
}

static bool says_why(int code)
{
	if (strstr(xvmm.text, strerror(code)))
		return true;
	/* Of memory that is not to be had for a thread the C library says EAGAIN. */
	if (code == ENOMEM)
		return strstr(xvmm.text, "memory") || strstr(xvmm.text, strerror(EAGAIN));
	return code == EBUSY && strstr(xvmm.text, "in use");
}

/* The guest goes on whatever becomes of the broker, if that has begun; no process crashes. */
static void judge_broker(int status)
{
	int crashed = atomic_load(&plan->n_processes) - (status == 128 + SIGTERM);

	ck_assert_msg(crashed == 0, "%d of its processes did not end by themselves (%s)\n%s",
		      crashed, faults_text(), xvmm.text);
	ck_assert_msg(!broker_failed() || served || status == 1,
		      "the broker's fault was the guest's (%s)\n%s", faults_text(), xvmm.text);
}

/* It ended, with @status. */
static void judge(int status, bool done)
{
	bool told = has_told() || refused;
	int code = faults_code();

	if (backend) {
		kill(backend, SIGKILL);
		waitpid(backend, NULL, 0);
	}
	judge_broker(status);
	ck_assert_msg(!strstr(xvmm.text, "Sanitizer"), "(%s)\n%s", faults_text(), xvmm.text);
	ck_assert_msg(status < 128 || (status == 128 + SIGTERM && !done),
		      "it ended with status %d (%s)\n%s", status, faults_text(), xvmm.text);
	ck_assert_msg((done && status == 0) || told, "status %d, and not a word (%s)\n%s", status,
		      faults_text(), xvmm.text);
	ck_assert_msg(status != 1 || says_why(code), "it doesn't say why (%s)\n%s", faults_text(),
		      xvmm.text);
	/* If nothing fails there is nothing to tell, or silence would not be noticed. */
	ck_assert_msg(code || !has_told(), "%s", xvmm.text);
	if (code)
		faults_count(done && !refused ? TOLERATED : TOLD);
	else
		faults_count(NOT_REACHED);
	tear_down(status);
}

static void one_session(void)
{
	bool done;
	int status;

	set_up();
	if (on("vhost-user"))
		start_backend();
	done = session();
	status = process_wait(&xvmm);
	judge(status, done && on_console(all_it_prints));
}

START_TEST(test_fault)
{
	faults_arm(_i);
	one_session();
}
END_TEST

int main(void)
{
	char name[64];

	require_kvm();
	if (on("vhost-net") && access("/dev/vhost-net", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: /dev/vhost-net: %s\n", strerror(errno));
		return STATUS_SKIP;
	}
	if (has_tap())
		enter_network_namespace();
	plan = faults_create();
	snprintf(name, sizeof(name), "faults on %s, sandbox %s, %s", need_env("DATAPATH"),
		 need_env("SANDBOX"), need_env("PHASE"));
	return faults_run(name, test_fault);
}
