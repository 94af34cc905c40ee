/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the control socket, given to a VM that has one network device. */
#include "vmm/control_commands.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_files.h"
#include "vmm/control.h"
#include "vmm/vm.h"

enum {
	WORDS_SIZE = 256,
};

static struct xvmm *vm;
static struct error err;
static json_t *result;
static int fds[2]; /* the device's, and the wire's end */

static void setup(void)
{
	struct xvmm_net net = {.id = "wan", .has_fd = true, .mac = {2, 0, 0, 0, 0, 1}};
	struct xvmm_config config = {.memory = 64 << 20, .nets = &net, .n_nets = 1};
	struct xvmm_error error;
	struct test_file file = test_kernel_make();

	config.kernel = file.path;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	net.fd = fds[0];
	ck_assert_msg(xvmm_create(&config, &vm, &error) == 0, "%s", error.text);
}

static void teardown(void)
{
	xvmm_destroy(vm);
	json_decref(result);
}

/* Carry out @name with @arguments, JSON with ' for ". */
static int execute(const char *name, const char *arguments)
{
	const struct control_command *command = control_commands;
	char text[256];
	json_t *object;
	int ret;

	snprintf(text, sizeof(text), "%s", arguments);
	for (char *at = text; *at; at++)
		*at = (char)(*at == '\'' ? '"' : *at);
	object = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(object);
	while (strcmp(command->name, name) != 0)
		command++;
	json_decref(result);
	result = NULL;
	err = (struct error){0};
	ret = command->execute(vm, object, &result, &err);
	json_decref(object);
	return ret;
}

static void assert_refused(const char *name, const char *arguments, int code, const char *part)
{
	ck_assert_int_eq(execute(name, arguments), code);
	assert_error(err, code, part);
}

START_TEST(strangers)
{
	static const char *const none[] = {"xvmm-cpu-stats",
					   "query-status",
					   "xvmm-query-net",
					   "xvmm-net-stats",
					   "query-kvm",
					   "query-cpus-fast",
					   "query-qmp-schema",
					   "stop",
					   "cont",
					   "system_powerdown",
					   "system_reset",
					   "inject-nmi",
					   "quit"};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_refused(none[i], "{'x':1}", -EINVAL, "it takes no arguments");
	assert_refused("set_link", "{'name':'wan'}", -EINVAL, "it takes name, up (a boolean)");
	assert_refused("set_link", "{'name':'wan','up':1}", -EINVAL, "it takes name");
	assert_refused("set_link", "{'name':'wan','up':true,'x':1}", -EINVAL, "it takes name");
	assert_refused("xvmm-net-announce", "{'id':[]}", -EINVAL, "it takes id");
	assert_refused("xvmm-net-switch", "{'id':'wan'}", -EINVAL, "it takes id, spec");
}
END_TEST

START_TEST(no_such_device)
{
	assert_refused("set_link", "{'name':'lan','up':true}", -ENODEV, "'lan'; try: query-net");
	assert_refused("xvmm-net-announce", "{'id':'lan'}", -ENODEV, "'lan'");
	assert_refused("xvmm-net-switch", "{'id':'lan','spec':'tap0'}", -ENODEV,
		       "'lan'; try: query-net");
	/* A client would take the device for gone. */
	assert_refused("xvmm-net-switch", "{'id':'wan','spec':'nosuchtap'}", -ENXIO,
		       "nosuchtap: no such network interface");
	assert_refused("xvmm-net-switch", "{'id':'wan','spec':'fd=lost'}", -ENOENT,
		       "'lost' not found; try: getfd lost");
}
END_TEST

START_TEST(query_status)
{
	const char *text;
	int running, singlestep;

	ck_assert_int_eq(execute("query-status", "{}"), 0);
	ck_assert_int_eq(json_unpack(result, "{s:s,s:b,s:b!}", "status", &text, "running", &running,
				     "singlestep", &singlestep),
			 0);
	ck_assert_str_eq(text, "running");
	ck_assert(running && !singlestep);
}
END_TEST

START_TEST(stops_and_goes_on)
{
	const char *text;
	int running;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(execute("stop", "{}"), 0);
		ck_assert_int_eq(execute("query-status", "{}"), 0);
		ck_assert_int_eq(
			json_unpack(result, "{s:s,s:b}", "status", &text, "running", &running), 0);
		ck_assert_str_eq(text, "paused");
		ck_assert(!running);
	}
	ck_assert_int_eq(execute("cont", "{}"), 0);
	ck_assert_int_eq(execute("cont", "{}"), 0);
	ck_assert_int_eq(execute("query-status", "{}"), 0);
	ck_assert(json_is_true(json_object_get(result, "running")));
}
END_TEST

START_TEST(query_cpus)
{
	const char *path, *target;
	int index, tid, exits;

	ck_assert_int_eq(execute("query-cpus-fast", "{}"), 0);
	ck_assert_int_eq(json_unpack(result, "[{s:i,s:s,s:i,s:s!}!]", "cpu-index", &index,
				     "qom-path", &path, "thread-id", &tid, "target", &target),
			 0);
	ck_assert_int_eq(index, 0);
	ck_assert_int_eq(tid, 0); /* it doesn't run */
	ck_assert_int_eq(execute("xvmm-cpu-stats", "{}"), 0);
	ck_assert_int_eq(json_unpack(result, "[{s:i,s:i!}!]", "cpu-index", &index, "exits", &exits),
			 0);
	ck_assert_int_eq(exits, 0);
	ck_assert_int_eq(execute("query-kvm", "{}"), 0);
	ck_assert(json_is_true(json_object_get(result, "enabled")));
}
END_TEST

static bool link_up(void)
{
	const char *id, *backend, *datapath, *mac;
	int up, connected;

	ck_assert_int_eq(execute("xvmm-query-net", "{}"), 0);
	ck_assert_int_eq(json_unpack(result, "[{s:s,s:s,s:s,s:s,s:b,s:b!}!]", "id", &id, "backend",
				     &backend, "datapath", &datapath, "mac", &mac, "link-up", &up,
				     "connected", &connected),
			 0);
	ck_assert(connected);
	ck_assert_str_eq(id, "wan");
	ck_assert_str_eq(datapath, "in-process");
	ck_assert_str_eq(mac, "02:00:00:00:00:01");
	return up;
}

START_TEST(link_goes_down_and_up)
{
	ck_assert(link_up());
	ck_assert_int_eq(execute("set_link", "{'name':'wan','up':false}"), 0);
	ck_assert(!link_up());
	ck_assert_int_eq(execute("set_link", "{'name':'wan','up':true}"), 0);
	ck_assert(link_up());
}
END_TEST

START_TEST(net_stats)
{
	static const char *const counters[] = {
		"packets", "bytes",  "kicks", "interrupts", "interrupts-suppressed",
		"stalls",  "broken",
	};
	static const char *const drops[] = {
		"link-down", "filtered", "mtu", "no-buffers", "malformed", "refused",
	};
	json_t *queues, *queue, *value;
	const char *id, *datapath;
	int up, needs_reset;
	size_t i;

	ck_assert_int_eq(execute("xvmm-net-stats", "{}"), 0);
	ck_assert_int_eq(json_unpack(result, "[{s:s,s:s,s:b,s:b,s:o!}!]", "id", &id, "datapath",
				     &datapath, "link-up", &up, "needs-reset", &needs_reset,
				     "queues", &queues),
			 0);
	ck_assert_str_eq(id, "wan");
	ck_assert(up && !needs_reset);
	ck_assert_uint_eq(json_array_size(queues), 2);
	json_array_foreach(queues, i, queue)
	{
		ck_assert_str_eq(json_string_value(json_object_get(queue, "queue")),
				 i ? "tx0" : "rx0");
		for (size_t k = 0; k < sizeof(counters) / sizeof(counters[0]); k++) {
			value = json_object_get(queue, counters[k]);
			ck_assert_msg(json_is_integer(value), "%s", counters[k]);
			ck_assert_int_eq(json_integer_value(value), 0);
		}
		for (size_t k = 0; k < sizeof(drops) / sizeof(drops[0]); k++) {
			value = json_object_get(json_object_get(queue, "dropped"), drops[k]);
			ck_assert_msg(json_is_integer(value), "%s", drops[k]);
		}
		/* It never did anything. */
		ck_assert_ptr_null(json_object_get(queue, "idle-ms"));
	}
}
END_TEST

START_TEST(announce_without_a_driver)
{
	assert_refused("xvmm-net-announce", "{'id':'wan'}", -EOPNOTSUPP,
		       "wan: its driver does not run");
}
END_TEST

START_TEST(net_switch)
{
	char arguments[64];
	int pause_us;

	assert_refused("xvmm-net-switch", "{'id':'wan','spec':'tap0,sokcet=x'}", -EINVAL,
		       "net-switch: unknown key 'sokcet'");
	assert_refused("xvmm-net-switch", "{'id':'wan','spec':'fd=1000000'}", -EBADF, "1000000");
	assert_refused("xvmm-net-switch", "{'id':'wan','spec':'fd=wire,vhost=off'}", -ENOENT,
		       "'wire' not found");
	snprintf(arguments, sizeof(arguments), "{'id':'wan','spec':'fd=%d'}", fds[1]);
	/* One that the program opened for itself, and one that it was given. */
	assert_refused("xvmm-net-switch", arguments, -EBADF, "not started with it; try: getfd");
	ck_assert_int_eq(fcntl(fds[1], F_SETFD, 0), 0);
	ck_assert_msg(execute("xvmm-net-switch", arguments) == 0, "%s", err.text);
	ck_assert_int_eq(json_unpack(result, "{s:i!}", "pause-us", &pause_us), 0);
	ck_assert(link_up());
}
END_TEST

/* Of a driver that is none yet: all that comes. */
START_TEST(query_rx_filter)
{
	static const char *const wanted =
		"[{\"name\": \"wan\", \"promiscuous\": true, \"multicast\": \"normal\", "
		"\"unicast\": \"normal\", \"vlan\": \"all\", \"broadcast-allowed\": true, "
		"\"multicast-overflow\": false, \"unicast-overflow\": false, \"main-mac\": "
		"\"02:00:00:00:00:01\", \"vlan-table\": [], \"unicast-table\": [], "
		"\"multicast-table\": []}]";
	char *text;

	assert_refused("query-rx-filter", "{'name':'lan'}", -EINVAL, "net client name: lan");
	assert_refused("query-rx-filter", "{'id':'wan'}", -EINVAL, "it takes name, or nothing");
	ck_assert_int_eq(execute("query-rx-filter", "{'name':'wan'}"), 0);
	text = json_dumps(result, 0);
	ck_assert_str_eq(text, wanted);
	free(text);
	ck_assert_int_eq(execute("query-rx-filter", "{}"), 0);
	ck_assert_uint_eq(json_array_size(result), 1);
}
END_TEST

/* The last words of the VM, as "NAME reason" or "NAME". */
static void hear(void *words, const char *name, json_t *data)
{
	const char *reason = json_string_value(json_object_get(data, "reason"));
	size_t len = strlen(words);

	snprintf((char *)words + len, WORDS_SIZE - len, "%s %s;", name, reason ? reason : "");
	json_decref(data);
}

START_TEST(ends)
{
	static const struct {
		enum xvmm_reason reason;
		const char *command;
		const char *words;
	} ways[] = {
		{XVMM_POWER_OFF, NULL, "SHUTDOWN guest-shutdown;"},
		{XVMM_PANIC, "host-qmp-quit", "GUEST_PANICKED ;SHUTDOWN guest-panic;"},
		{XVMM_STOPPED, "host-qmp-quit", "SHUTDOWN host-qmp-quit;"},
		{XVMM_STOPPED, NULL, "SHUTDOWN host-signal;"},
		{XVMM_RESET, "host-qmp-system-reset", "SHUTDOWN host-qmp-system-reset;"},
		{XVMM_RESET, NULL, "SHUTDOWN guest-reset;"},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char words[WORDS_SIZE] = "";

		control_commands_ended(hear, words, &(struct xvmm_end){.reason = ways[i].reason},
				       ways[i].command);
		ck_assert_str_eq(words, ways[i].words);
	}
	ck_assert_int_eq(execute("system_powerdown", "{}"), 0);
	ck_assert_int_eq(execute("quit", "{}"), 0);
	ck_assert_ptr_null(result);
}
END_TEST

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *tcase;
	int failed;

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("SKIP: no access to /dev/kvm\n");
		return 77;
	}
	suite = suite_create("control_commands");
	tcase = tcase_create("with a VM");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, strangers);
	tcase_add_test(tcase, no_such_device);
	tcase_add_test(tcase, query_status);
	tcase_add_test(tcase, stops_and_goes_on);
	tcase_add_test(tcase, query_cpus);
	tcase_add_test(tcase, link_goes_down_and_up);
	tcase_add_test(tcase, net_stats);
	tcase_add_test(tcase, announce_without_a_driver);
	tcase_add_test(tcase, net_switch);
	tcase_add_test(tcase, query_rx_filter);
	tcase_add_test(tcase, ends);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
