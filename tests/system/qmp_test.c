/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What xvmm's control socket has of its own: devices that move to descriptors of a client's, events
 * of back-ends that come and go, and the schema of all of it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "qmp_client.h"
#include "tap.h"
#include "tests/guest/lib/frame.h"
#include "vmm/sandbox.h"

enum {
	PATIENCE_MS = 10000,
	ROUNDS = 50,
	HEADER_SIZE = 12, /* struct virtio_net_hdr_v1 */
	FDS_LOOKED_AT = 40,
	FRAME_SIZE = 60,
};

static const uint8_t test_mac[6] = TEST_MAC, guest_mac[6] = {2, 0, 0, 0, 0, 7};

static struct process process;
static struct qmp_client client;
static char directory[] = "/tmp/xvmm-qmp.XXXXXX";
static char control[64], vhost_socket[64];
static int wire; /* owned: the test's end of what the guest's device is on */

/* --- the VM --- */

static void start(const char *guest, const char *net, const char *cmdline, const char *sandbox)
{
	const char *const argv[] = {
		need_env("XVMM"), "--kernel",  guest_path(guest), "--net",     net,	"--control",
		control,	  "--cmdline", cmdline,		  "--sandbox", sandbox, NULL};
	json_t *reply;

	process_start(&process, argv, -1);
	json_decref(qmp_client_open(&client, control));
	json_decref(
		qmp_client_ask(&client, "{'execute':'qmp_capabilities'}", "qmp_capabilities", -1));
	reply = qmp_client_ask(&client, "{'execute':'query-qmp-schema'}", "query-qmp-schema", -1);
	qmp_client_fit(&client, json_incref(json_object_get(reply, "return")));
	json_decref(reply);
}

/* What @request returns, the caller's; it must not fail. */
static json_t *returned(const char *request, const char *command, int fd)
{
	json_t *reply = qmp_client_ask(&client, request, command, fd);
	json_t *result = json_incref(json_object_get(reply, "return"));
	char *text = json_dumps(reply, 0);

	ck_assert_msg(result != NULL, "%s: %s", request, text);
	free(text);
	json_decref(reply);
	return result;
}

static void expect_error(const char *request, int fd, const char *part)
{
	json_t *reply = qmp_client_ask(&client, request, "", fd);
	const char *desc =
		json_string_value(json_object_get(json_object_get(reply, "error"), "desc"));

	ck_assert_msg(desc && strstr(desc, part), "%s: %s", request, desc ? desc : "no error");
	json_decref(reply);
}

static void expect_event(const char *backend, const char *datapath, bool connected)
{
	json_t *event = qmp_client_event(&client, "XVMM_NET_BACKEND_CHANGED");
	json_t *expected = json_pack("{s:s,s:s,s:s,s:b}", "id", "net0", "backend", backend,
				     "datapath", datapath, "connected", connected);
	char *text = json_dumps(event, 0);

	ck_assert_msg(json_equal(event, expected), "%s", text);
	free(text);
	json_decref(event);
	json_decref(expected);
}

static void quit(void)
{
	json_decref(returned("{'execute':'quit'}", "quit", -1));
	json_decref(qmp_client_event(&client, "SHUTDOWN"));
	qmp_client_close(&client);
	process_wait(&process);
}

static int count_descriptors(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return count_entries(path);
}

/* Of the VM's process, and of its broker, if it has one. */
static int count_all_descriptors(void)
{
	char path[64], text[64] = "";
	int n = count_descriptors(process.pid), fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", process.pid, process.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	return *text ? n + count_descriptors(atoi(text)) : n;
}

/* Whether descriptor @fd of the VM's process is its own: closed on exec. */
static bool is_own(int fd)
{
	char path[64], text[64] = "";
	int flags = 0, info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", process.pid, fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	ck_assert_int_gt(read(info, text, sizeof(text) - 1), 0);
	close(info);
	ck_assert_int_eq(sscanf(text, "pos: %*d flags: %o", (unsigned int *)&flags), 1);
	return flags & O_CLOEXEC;
}

/* --- packets --- */

/* A frame that comes back. */
static void expect_bounce(uint32_t number)
{
	uint8_t packet[HEADER_SIZE + FRAME_SIZE] = {0}, back[2048];
	struct test_frame *frame = (struct test_frame *)(packet + HEADER_SIZE);
	struct pollfd readable = {.fd = wire, .events = POLLIN};

	test_frame_fill(frame, guest_mac, test_mac, TEST_DATA, number, FRAME_SIZE);
	ck_assert_int_eq(send(wire, packet, sizeof(packet), 0), sizeof(packet));
	do {
		ck_assert_int_eq(poll(&readable, 1, stretched(PATIENCE_MS)), 1);
		ck_assert_int_eq(recv(wire, back, sizeof(back), 0), sizeof(packet));
	} while (memcmp(back + HEADER_SIZE, test_mac, 6) != 0);
	ck_assert_mem_eq(back + HEADER_SIZE + sizeof(frame->ethernet),
			 packet + HEADER_SIZE + sizeof(frame->ethernet),
			 FRAME_SIZE - sizeof(frame->ethernet));
}

/* A new one; what was there before is closed by both. @theirs: to give away. */

static void new_wire(int *theirs)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	close(wire);
	wire = ends[0];
	*theirs = ends[1];
}

static void switch_to_new_wire(void)
{
	int theirs, old = wire;

	wire = -1;
	new_wire(&theirs);
	json_decref(returned("{'execute':'getfd','arguments':{'fdname':'wire'}}", "getfd", theirs));
	close(theirs);
	json_decref(
		returned("{'execute':'xvmm-net-switch','arguments':{'id':'net0','spec':'fd=wire'}}",
			 "xvmm-net-switch", -1));
	close(old);
	expect_event("fd=wire", "in-process", true);
}

static int attached_tap(void)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

/* --- tests --- */

static const char *const sandboxes[] = {"off", "on"}; /* which has a broker */

START_TEST(test_descriptors)
{
	static const char name_tap[] = "{'execute':'getfd','arguments':{'fdname':'tap'}}";
	static const char to_tap[] =
		"{'execute':'xvmm-net-switch','arguments':{'id':'net0','spec':'fd=tap'}}";
	char net[64], ready[2048];
	int theirs[2], fd, before, n_own = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, theirs), 0);
	wire = theirs[0];
	fcntl(wire, F_SETFD, FD_CLOEXEC);
	snprintf(net, sizeof(net), "fd=%d,mac=02:00:00:00:00:07", theirs[1]);
	start("net", net, "mode=bounce", sandboxes[_i]);
	close(theirs[1]);
	ck_assert_int_gt(recv(wire, ready, sizeof(ready), 0), HEADER_SIZE);
	expect_bounce(0);
	switch_to_new_wire();
	before = count_all_descriptors();
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		expect_bounce(i);
		switch_to_new_wire();
	}
	expect_bounce(ROUNDS + 1);
	/* Its name went with it. */
	expect_error("{'execute':'xvmm-net-switch','arguments':{'id':'net0','spec':'fd=wire'}}", -1,
		     "'wire' not found");
	/* What no device can be on, and where there is no device. */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	json_decref(returned(name_tap, "getfd", fd));
	expect_error(to_tap, -1, "it is no tap");
	json_decref(returned(name_tap, "getfd", fd));
	expect_error("{'execute':'xvmm-net-switch','arguments':{'id':'lan','spec':'fd=tap'}}", -1,
		     "no network device 'lan'");
	close(fd);
	/* What xvmm, or its broker, has for itself. */
	for (int own = 0; own < FDS_LOOKED_AT; own++) {
		char text[128];

		if (!is_own(own))
			continue;
		n_own++;
		snprintf(text, sizeof(text),
			 "{'execute':'xvmm-net-switch','arguments':{'id':'net0','spec':'fd=%d'}}",
			 own);
		expect_error(text, -1, "xvmm was not started with it; try: getfd");
	}
	ck_assert_int_gt(n_own, 2);
	ck_assert_int_eq(count_all_descriptors(), before);
	expect_bounce(ROUNDS + 2);
	/* A tap, and away from there again. */
	fd = attached_tap();
	json_decref(returned(name_tap, "getfd", fd));
	close(fd);
	json_decref(returned(to_tap, "xvmm-net-switch", -1));
	expect_event("fd=tap", "in-process", true);
	switch_to_new_wire();
	expect_bounce(ROUNDS + 3);
	ck_assert_int_eq(count_all_descriptors(), before);
	close(wire);
	expect_event("fd=wire", "in-process", false);
	json_decref(returned("{'execute':'xvmm-query-net'}", "xvmm-query-net", -1));
	wire = -1;
	quit();
}
END_TEST

static pid_t start_backend(void)
{
	const char *const argv[] = {need_env("BACKEND"), "--socket", vhost_socket, "sink", NULL};
	pid_t pid;

	unlink(vhost_socket);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

/* With nothing to take its place, and with a tap. */
START_TEST(test_backend_comes_and_goes)
{
	const char *away = _i ? "in-process" : "vhost-user";
	char net[256], backend[128];

	tap_create("tap0");
	snprintf(backend, sizeof(backend), "vhost-user,socket=%s", vhost_socket);
	snprintf(net, sizeof(net), "%s%s", backend, _i ? ",fallback=tap0" : "");
	start("spin", net, "", sandboxes[sandbox_possible]);
	for (int i = 0; i < 3; i++) {
		pid_t pid = start_backend();

		expect_event(backend, "vhost-user", true);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		expect_event(backend, away, false);
	}
	/* By another client, say. */
	json_decref(
		returned("{'execute':'xvmm-net-switch','arguments':{'id':'net0','spec':'tap0'}}",
			 "xvmm-net-switch", -1));
	expect_event("tap0", "in-process", true);
	quit();
}
END_TEST

/* Each command is in the schema, and what those return that change nothing fits it. */
START_TEST(test_schema)
{
	json_t *commands, *command, *info;
	const char *key;
	char request[96];
	unsigned int queries = 0;
	size_t i, n = 0;

	tap_create("tap0");
	start("spin", "tap0", "", sandboxes[sandbox_possible]);
	commands = returned("{'execute':'query-commands'}", "query-commands", -1);
	json_object_foreach(client.schemas[0], key, info)
		n += strcmp(json_string_value(json_object_get(info, "meta-type")), "command") == 0;
	ck_assert_uint_eq(n, json_array_size(commands));
	json_array_foreach(commands, i, command)
	{
		const char *name = json_string_value(json_object_get(command, "name"));

		ck_assert_msg(qmp_schema_find(client.schemas[0], "command", name) != NULL, "%s",
			      name);
		if (!strstr(name, "query-") && !strstr(name, "-stats"))
			continue;
		snprintf(request, sizeof(request), "{'execute':'%s'}", name);
		json_decref(returned(request, name, -1));
		queries++;
	}
	ck_assert_uint_ge(queries, 10);
	json_decref(commands);
	quit();
}
END_TEST

/* --- */

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(control, sizeof(control), "%s/control", directory);
	snprintf(vhost_socket, sizeof(vhost_socket), "%s/vhost", directory);
	enter_network_namespace();
}

static void tear_down(void)
{
	unlink(control);
	unlink(vhost_socket);
	ck_assert_int_eq(rmdir(directory), 0);
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("QMP");
	TCase *tests = tcase_create("own");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, test_descriptors, 0, sandbox_possible ? 2 : 1);
	tcase_add_loop_test(tests, test_backend_comes_and_goes, 0, 2);
	tcase_add_test(tests, test_schema);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	require_kvm();
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
