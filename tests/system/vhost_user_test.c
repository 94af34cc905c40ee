/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets between the guest "net" and a tap, through the vhost-user back-end of the tests, which
 * checks every message it gets; the back-end is killed again and again, and the rings move between
 * it and xvmm. The guest checks that every buffer comes back once. XVMM, GUESTS and NET_OPTIONS are
 * set as for net_test, BACKEND to the back-end, KILLS and SWITCHES to how often.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "qmp.h"
#include "tap.h"
#include "tests/guest/lib/frame.h"

enum {
	PATIENCE_MS = 5000,
	STATUS_VIOLATION = 3, /* of the back-end */
	WINDOW = 32,
	FRAME = 200,
	STOP_MS = 50,
};

static const uint8_t test_mac[6] = TEST_MAC;
static struct process guest;
static pid_t backend;
static char directory[32], vhost_socket[64], control[64], backend_log[64];
static int tap_socket;
static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 0x55};
#define GUEST_MAC "02:00:00:00:00:55"
static uint32_t number; /* of the next frame */
static unsigned long bounced;

/* --- the back-end --- */

/* @die: when (--die-after-packets), or NULL. */
static void backend_start_to_die(const char *mode, const char *protocol, const char *die)
{
	const char *argv[10] = {need_env("BACKEND"), "--socket", vhost_socket};
	size_t n = 3;

	if (protocol) {
		argv[n++] = "--protocol-features";
		argv[n++] = protocol;
	}
	if (die) {
		argv[n++] = "--die-after-packets";
		argv[n++] = die;
	}
	argv[n] = mode;
	unlink(vhost_socket);
	backend = fork();
	if (backend == 0) {
		int log = open(backend_log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_gt(backend, 0);
}

static void backend_start(const char *mode, const char *protocol)
{
	backend_start_to_die(mode, protocol, NULL);
}

/* The end of what it had to say, in static memory. */
static const char *backend_text(void)
{
	static char text[2048];
	int log = open(backend_log, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (lseek(log, -(off_t)sizeof(text) + 1, SEEK_END) < 0)
		lseek(log, 0, SEEK_SET);
	n = read(log, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(log);
	return text;
}

/* Until then nobody can connect to it. */
static void backend_wait_listening(void)
{
	for (int waited = 0; !strstr(backend_text(), "listening"); waited++) {
		ck_assert_int_lt(waited, stretched(PATIENCE_MS));
		poll(NULL, 0, 1);
	}
}

/* It dies. Unless it ends in order: then it has seen what is against the specification. */
static void backend_wait(void)
{
	int status;

	ck_assert_int_eq(waitpid(backend, &status, 0), backend);
	if (WIFSIGNALED(status))
		return;
	ck_abort_msg("the back-end has ended, status %d:\n%s", WEXITSTATUS(status), backend_text());
}

static void backend_kill(void)
{
	kill(backend, SIGKILL);
	backend_wait();
}

/* --- the guest --- */

static void guest_start(const char *net, const char *parameters)
{
	const char *const argv[] = {
		need_env("XVMM"), "--kernel", guest_path("net"), "--net",    net,
		"--control",	  control,    "--cmdline",	 parameters, NULL};

	process_start(&guest, argv, -1);
}

static void guest_end(void)
{
	int status = process_wait(&guest);

	ck_assert_msg(status == 0, "exit status %d:\n%s", status, guest.text);
}

/* --- frames --- */

static struct test_frame *test_frame(struct packet *packet)
{
	return (struct test_frame *)packet->frame;
}

static void send_frame(uint8_t operation)
{
	static struct packet packet;

	memset(&packet.header, 0, sizeof(packet.header));
	test_frame_fill(test_frame(&packet), guest_mac, test_mac, operation, number++, FRAME);
	packet.len = FRAME;
	packet_send(tap_socket, &packet);
}

/* Take what comes back within @milliseconds: how many frames. */
static unsigned int take_frames(int milliseconds)
{
	static struct packet packet;
	unsigned int n = 0;

	while (n < WINDOW && packet_receive(tap_socket, &packet, milliseconds)) {
		if (read_be16(test_frame(&packet)->ethernet.type) != ETHERTYPE_TEST ||
		    test_frame(&packet)->operation != TEST_DATA)
			continue;
		ck_assert_uint_eq(packet.len, FRAME);
		n++;
	}
	bounced += n;
	return n;
}

/* Until all of a window come back: those that are on the way when something happens are lost. */
static void expect_traffic(void)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += stretched(PATIENCE_MS) / 1000;
	do {
		for (int i = 0; i < WINDOW; i++)
			send_frame(TEST_DATA);
		if (take_frames(100) == WINDOW)
			return;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	ck_abort_msg("no traffic for %d ms; exit status %d:\n%s\nback-end:\n%s",
		     stretched(PATIENCE_MS), process_wait(&guest), guest.text, backend_text());
}

static void some_traffic(void)
{
	for (int i = rand() % 8; i; i--) {
		for (int j = 0; j < WINDOW; j++)
			send_frame(TEST_DATA);
		take_frames(rand() % 3);
	}
}

/* The frame may be lost as others are: again until the guest has ended. */
static void guest_stop(void)
{
	struct pollfd ended = {.fd = guest.output};

	for (int i = 0; i < stretched(PATIENCE_MS) / STOP_MS && !ended.revents; i++) {
		send_frame(TEST_STOP);
		poll(&ended, 1, STOP_MS);
	}
	guest_end();
}

/* --- set-up --- */

static void set_up(void)
{
	strcpy(directory, "/tmp/xvmm-vhost.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(vhost_socket, sizeof(vhost_socket), "%s/vhost", directory);
	snprintf(control, sizeof(control), "%s/control", directory);
	snprintf(backend_log, sizeof(backend_log), "%s/log", directory);
	srand(1);
	/* Another one for each test: what they make there is gone with them. */
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
}

static void tear_down(void)
{
	unlink(vhost_socket);
	unlink(backend_log);
	unlink(control);
	rmdir(directory);
}

static unsigned int times(const char *variable)
{
	return (unsigned int)atoi(need_env(variable));
}

static const char *net_option(const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text), "vhost-user,socket=%s,mac=" GUEST_MAC ",%s%s", vhost_socket,
		 need_env("NET_OPTIONS"), more);
	return text;
}

/* The guest's parameters, with those that are keys of --net as well. */
static const char *parameters(const char *own)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s %s", own, need_env("NET_OPTIONS"));
	for (char *comma = text; (comma = strchr(comma, ','));)
		*comma = ' ';
	return text;
}

/* tap0 and tap1 are ports of a switch, and so is the test, which sees all that passes. */
static void bridge_taps(void)
{
	tap_create("tap0");
	tap_create("tap1");
	ck_assert_int_eq(
		system("ip link add br0 type bridge && ip link set br0 up promisc on && ip link set tap0 master br0 && "
		       "ip link set tap1 master br0"),
		0);
	tap_socket = tap_open_socket("br0");
}

/* --- tests --- */

static const char *const protocols[] = {
	NULL, /* all that the back-end has, with an inflight region */
	"MQ,REPLY_ACK,RARP",
	"none",
};

enum {
	N_PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]),
};

/* Alone, and at its last kill in the middle of things: nothing is lost that was not on the wire. */
START_TEST(test_killed)
{
	tap_create("tap0");
	tap_socket = tap_open_socket("tap0");
	backend_start("tap=tap0", protocols[_i]);
	guest_start(net_option(""),
		    parameters("mode=bounce lossy=on mrg=on event_idx=on indirect=on"));
	expect_traffic();
	for (unsigned int i = times("KILLS"); i; i--) {
		some_traffic();
		backend_kill();
		backend_start("tap=tap0", protocols[_i]);
		if (i % 4 == 0)
			expect_traffic();
	}
	expect_traffic();
	guest_stop();
	backend_kill();
}
END_TEST

/* Every buffer that is sent comes back, whoever dies with it. */
START_TEST(test_killed_sending)
{
	backend_start("sink", protocols[_i]);
	guest_start(net_option(""), parameters("mode=send count=300000 size=100 batch=32 mrg=on "
					       "event_idx=on indirect=on"));
	for (unsigned int i = times("KILLS"); i; i--) {
		poll(NULL, 0, rand() % 20);
		backend_kill();
		backend_start("sink", protocols[_i]);
	}
	guest_end();
	backend_kill();
}
END_TEST

/* The same, in the midst of returning a buffer, at each step of it. */
START_TEST(test_dies_returning)
{
	static const char *const when[] = {"99,taken", "99,written", "99,moved", "99,published"};

	guest_start(net_option(""), parameters("mode=send count=10000 size=100 batch=32 mrg=on "
					       "event_idx=on indirect=on"));
	for (unsigned int i = 0; i < sizeof(when) / sizeof(when[0]); i++) {
		backend_start_to_die("sink", protocols[_i], when[i]);
		backend_wait();
	}
	backend_start("sink", protocols[_i]);
	guest_end();
	backend_kill();
}
END_TEST

/* It comes after the guest. */
START_TEST(test_late)
{
	tap_create("tap0");
	tap_socket = tap_open_socket("tap0");
	guest_start(net_option(""), parameters("mode=bounce lossy=on mrg=on"));
	qmp_connect(control); /* the VM runs */
	poll(NULL, 0, 300);
	backend_start("tap=tap0", NULL);
	expect_traffic();
	guest_stop();
	backend_kill();
}
END_TEST

/* While it is away a tap takes its place. */
START_TEST(test_fallback)
{
	bridge_taps();
	backend_start("tap=tap1", NULL);
	guest_start(net_option(",fallback=tap0"), parameters("mode=bounce lossy=on mrg=on"));
	expect_traffic();
	for (unsigned int i = times("SWITCHES"); i; i--) {
		backend_kill();
		expect_traffic();
		backend_start("tap=tap1", NULL);
		some_traffic();
	}
	expect_traffic();
	guest_stop();
	backend_kill();
}
END_TEST

/* The reply, in static memory. */
static const char *try_net_switch(int qmp, const char *spec)
{
	static char text[512];

	snprintf(
		text, sizeof(text),
		"{\"execute\": \"xvmm-net-switch\", \"arguments\": {\"id\": \"net0\", \"spec\": \"%s\"}}",
		spec);
	qmp_send(qmp, text);
	ck_assert(qmp_receive(qmp, text, sizeof(text), stretched(PATIENCE_MS)));
	return text;
}

static void net_switch(int qmp, const char *spec)
{
	const char *reply = try_net_switch(qmp, spec);

	ck_assert_msg(strncmp(reply, "{\"return\"", 9) == 0, "%s\nback-end:\n%s", reply,
		      backend_text());
}

static void pause_guest(int qmp, bool pause)
{
	char reply[512];

	qmp_send(qmp, pause ? "{\"execute\": \"stop\"}" : "{\"execute\": \"cont\"}");
	ck_assert(qmp_receive(qmp, reply, sizeof(reply), stretched(PATIENCE_MS)));
	ck_assert_msg(strncmp(reply, "{\"return\"", 9) == 0, "%s", reply);
}

/* From xvmm's own datapath to the back-end and back, on two ports of a switch. */
START_TEST(test_switch)
{
	char net[256], away[256];
	const char *refusal;
	int qmp;

	bridge_taps();
	backend_start("tap=tap1", protocols[_i]);
	backend_wait_listening();
	snprintf(net, sizeof(net), "tap0,switch=on,mac=" GUEST_MAC ",%s", need_env("NET_OPTIONS"));
	snprintf(away, sizeof(away), "vhost-user,socket=%s", vhost_socket);
	guest_start(net, parameters("mode=bounce lossy=on mrg=on event_idx=on indirect=on"));
	qmp = qmp_connect(control);
	for (unsigned int i = times("SWITCHES"); i; i--) {
		expect_traffic();
		net_switch(qmp, away);
		expect_traffic();
		net_switch(qmp, "tap0");
	}
	backend_kill();
	refusal = try_net_switch(qmp, away);
	ck_assert_msg(strstr(refusal, "Connection refused") != NULL, "%s", refusal);
	expect_traffic();
	guest_stop();
	close(qmp);
}
END_TEST

/* While the VM is paused, its rings are with nobody: whether the back-end is there or not. */
START_TEST(test_paused)
{
	int qmp;

	tap_create("tap0");
	tap_socket = tap_open_socket("tap0");
	backend_start("tap=tap0", protocols[_i]);
	guest_start(net_option(""),
		    parameters("mode=bounce lossy=on mrg=on event_idx=on indirect=on"));
	qmp = qmp_connect(control);
	for (unsigned int i = 0; i < times("SWITCHES"); i++) {
		expect_traffic();
		pause_guest(qmp, true);
		while (take_frames(20)) /* what was on its way */
			;
		for (int j = 0; j < WINDOW; j++)
			send_frame(TEST_DATA);
		ck_assert_uint_eq(take_frames(20), 0);
		if (i % 2) {
			backend_kill();
			backend_start("tap=tap0", protocols[_i]);
			backend_wait_listening();
		}
		pause_guest(qmp, false);
	}
	expect_traffic();
	guest_stop();
	close(qmp);
	backend_kill();
}
END_TEST

/* A connection to the back-end, which the guest's process is to inherit. */
static int connect_to_backend(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", vhost_socket);
	for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); i++) {
		ck_assert_int_lt(i, stretched(PATIENCE_MS));
		usleep(1000);
	}
	return fd;
}

/*
 * On a connection that was handed in, and not made again: the fallback serves the guest when it is
 * gone, until a client hands in another one.
 */
START_TEST(test_descriptor)
{
	char net[256], line[512];
	int qmp, fd;

	bridge_taps();
	backend_start("tap=tap1", NULL);
	fd = connect_to_backend();
	snprintf(net, sizeof(net), "vhost-user,fd=%d,fallback=tap0,mac=" GUEST_MAC ",%s", fd,
		 need_env("NET_OPTIONS"));
	guest_start(net, parameters("mode=bounce lossy=on mrg=on"));
	close(fd);
	expect_traffic();
	qmp = qmp_connect(control);
	for (int i = 0; i < 2; i++) {
		backend_kill();
		expect_traffic();
		backend_start("tap=tap1", NULL);
		expect_traffic();
		fd = connect_to_backend();
		qmp_send_fd(qmp, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"wire\"}}",
			    fd);
		ck_assert(qmp_receive(qmp, line, sizeof(line), stretched(PATIENCE_MS)));
		ck_assert_msg(strncmp(line, "{\"return\"", 9) == 0, "%s", line);
		close(fd);
		net_switch(qmp, "vhost-user,fd=wire,fallback=tap0");
		expect_traffic();
	}
	close(qmp);
	guest_stop();
	backend_kill();
}
END_TEST

static void add_test(Suite *suite, const TTest *test, int loops)
{
	/* A case of its own each: CK_RUN_CASE=NAME runs one. */
	TCase *tests = tcase_create(test->name);

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 150);
	tcase_add_loop_test(tests, test, 0, loops);
	suite_add_tcase(suite, tests);
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vhost-user");

	add_test(suite, test_killed, N_PROTOCOLS);
	add_test(suite, test_killed_sending, N_PROTOCOLS);
	add_test(suite, test_dies_returning, N_PROTOCOLS);
	add_test(suite, test_late, 1);
	add_test(suite, test_fallback, 1);
	add_test(suite, test_switch, N_PROTOCOLS);
	add_test(suite, test_paused, N_PROTOCOLS);
	add_test(suite, test_descriptor, 1);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	require_kvm();
	enter_network_namespace();
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
