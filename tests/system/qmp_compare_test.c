/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xvmm and QEMU 7.2, side by side: the same guest, the same commands. Every answer and event of
 * both has to fit QEMU's schema; both answer and tell the same, but for what docs/control.md lists.
 * QEMU is tests/guest/run-qemu.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "qmp_client.h"

enum {
	XVMM,
	QEMU,
	SIDES,
	TRIES = 2000,
	TURN_MS = 10,
	STATUS_SKIP = 77,
};

#define MAC "02:00:00:00:00:07"

static struct side {
	struct process process;
	struct qmp_client client;
	char path[64];
} sides[SIDES];
static char directory[] = "/tmp/xvmm-qmp.XXXXXX";
static int wire[2]; /* xvmm's network device is on the first end, which it inherits */

/* --- both of them --- */

static void start(int which, const char *guest, const char *cmdline)
{
	struct side *side = &sides[which];
	char net[64], qmp[96];
	const char *const xvmm[] = {
		need_env("XVMM"), "--kernel", guest_path(guest), "--cmdline", cmdline,
		"--net",	  net,	      "--control",	 side->path,  NULL};
	const char *const qemu[] = {need_env("QEMU"),
				    "-t",
				    "60",
				    guest_path(guest),
				    "-append",
				    cmdline,
				    "-device",
				    "pvpanic",
				    "-netdev",
				    "hubport,id=hub,hubid=0",
				    "-device",
				    "virtio-net-device,netdev=hub,id=net0,mac=" MAC,
				    "-qmp",
				    qmp,
				    NULL};

	snprintf(side->path, sizeof(side->path), "%s/%s", directory,
		 which == QEMU ? "qemu" : "xvmm");
	snprintf(net, sizeof(net), "fd=%d,id=net0,mac=" MAC, wire[0]);
	snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", side->path);
	process_start(&side->process, which == QEMU ? qemu : xvmm, -1);
}

static json_t *ask(int which, const char *request, const char *command, int fd)
{
	return qmp_client_ask(&sides[which].client, request, command, fd);
}

/* What a command without arguments returns; the caller's. */
static json_t *query(int which, const char *command)
{
	char request[64];
	json_t *reply, *result;

	snprintf(request, sizeof(request), "{'execute':'%s'}", command);
	reply = ask(which, request, command, -1);
	result = json_incref(json_object_get(reply, "return"));
	ck_assert_ptr_nonnull(result);
	json_decref(reply);
	return result;
}

/* QEMU's schema holds for both, xvmm's own for itself. */
static void fit_schemas(void)
{
	json_t *schema = query(QEMU, "query-qmp-schema");

	qmp_client_fit(&sides[XVMM].client, json_incref(schema));
	qmp_client_fit(&sides[QEMU].client, schema);
	qmp_client_fit(&sides[XVMM].client, query(XVMM, "query-qmp-schema"));
}

static void open_both(const char *guest, const char *cmdline)
{
	for (int i = 0; i < SIDES; i++) {
		start(i, guest, cmdline);
		json_decref(qmp_client_open(&sides[i].client, sides[i].path));
		sides[i].client.process = &sides[i].process;
		json_decref(ask(i, "{'execute':'qmp_capabilities'}", "qmp_capabilities", -1));
	}
	fit_schemas();
}

static void close_both(void)
{
	for (int i = 0; i < SIDES; i++) {
		qmp_client_close(&sides[i].client);
		process_wait(&sides[i].process);
	}
}

/* --- what may differ of a reply --- */

/* Its kind, the class of an error, its id; the caller's. */
static json_t *outline(const json_t *reply)
{
	json_t *error = json_object_get(reply, "error");
	json_t *class = json_object_get(error, "class");
	json_t *id = json_object_get(reply, "id");
	json_t *out = json_object();

	ck_assert_uint_eq(json_object_size(reply), id ? 2 : 1);
	if (error)
		ck_assert(json_object_size(error) == 2 &&
			  json_is_string(json_object_get(error, "desc")));
	else
		ck_assert(json_object_get(reply, "return") != NULL);
	json_object_set(out, "class", error ? class : json_null());
	if (id)
		json_object_set(out, "id", id);
	return out;
}

static void expect_same(json_t *ours, json_t *theirs, const char *of)
{
	char *texts[] = {json_dumps(ours, JSON_ENCODE_ANY), json_dumps(theirs, JSON_ENCODE_ANY)};

	ck_assert_msg(json_equal(ours, theirs), "%s: xvmm: %s, QEMU: %s", of, texts[0], texts[1]);
	for (int i = 0; i < SIDES; i++)
		free(texts[i]);
	json_decref(ours);
	json_decref(theirs);
}

/* Have them end. SHUTDOWN comes before the reply from QEMU, after it from xvmm. */
static void end_both(const char *request, bool panics)
{
	json_t *data[SIDES], *panic[SIDES];

	for (int i = 0; i < SIDES; i++) {
		json_decref(ask(i, request, "quit", -1));
		if (panics)
			panic[i] = qmp_client_event(&sides[i].client, "GUEST_PANICKED");
		data[i] = qmp_client_event(&sides[i].client, "SHUTDOWN");
		ck_assert_ptr_null(qmp_client_reply(&sides[i].client));
	}
	if (panics)
		expect_same(panic[XVMM], panic[QEMU], "GUEST_PANICKED");
	expect_same(data[XVMM], data[QEMU], request);
	close_both();
}

/* The names of events that have come, which are taken; the caller's. */
static json_t *take_events(int which)
{
	json_t *events = sides[which].client.events, *names = json_array(), *event;
	size_t i;

	json_array_foreach(events, i, event)
		json_array_append(names, json_object_get(event, "event"));
	json_array_clear(events);
	return names;
}

/* Both answer the same, after the same events. */
static void step(const char *request, int fd)
{
	char command[64] = "";
	json_t *replies[SIDES], *out[SIDES];
	const char *at = strstr(request, "'execute':'");

	if (at)
		sscanf(at + strlen("'execute':'"), "%63[^']", command);
	for (int i = 0; i < SIDES; i++) {
		replies[i] = ask(i, request, command, fd);
		out[i] = outline(replies[i]);
		json_decref(replies[i]);
	}
	expect_same(out[XVMM], out[QEMU], request);
	expect_same(take_events(XVMM), take_events(QEMU), request);
}

/* --- tests --- */

START_TEST(test_negotiation)
{
	json_t *capabilities[SIDES];
	int major[SIDES], minor[SIDES];
	static const char *const requests[] = {
		"{'execute':'query-status','id':1}",
		"{'exec-oob':'query-status','id':1}",
		"{'execute':'nothing-like-it'}",
		"{'execute':'qmp_capabilities','arguments':{'enable':['nothing']},'id':[2]}",
		"{'execute':'qmp_capabilities','arguments':{'enable':'oob'}}",
		"{'execute':'qmp_capabilities','arguments':{'enable':['oob',1]}}",
		"{'execute':'qmp_capabilities','arguments':{'more':1}}",
		"{'execute':'qmp_capabilities','arguments':{'enable':['oob']},'id':{'a':null}}",
		"{'execute':'qmp_capabilities','id':3}",
		"{'exec-oob':'query-status','id':4}",
		"{'exec-oob':'nothing-like-it','id':5}",
		"{'exec-oob':6,'id':6}",
		"{'exec-oob':'query-status','arguments':[],'id':7}",
		"{'exec-oob':'query-status','more':8,'id':8}",
		"{'exec-oob':'query-status','execute':'query-status','id':9}",
		"{'execute':'query-status','id':10}",
	};

	for (int i = 0; i < SIDES; i++) {
		json_t *greeting;
		const char *package;
		int micro;

		start(i, "spin", "");
		greeting = qmp_client_open(&sides[i].client, sides[i].path);
		ck_assert_int_eq(json_unpack(greeting, "{s:{s:{s:{s:i,s:i,s:i!},s:s!},s:O!}!}",
					     "QMP", "version", "qemu", "micro", &micro, "minor",
					     &minor[i], "major", &major[i], "package", &package,
					     "capabilities", &capabilities[i]),
				 0);
		json_decref(greeting);
	}
	/* Clients refuse a QEMU that is older, and use what is listed. */
	ck_assert_int_eq(major[XVMM], major[QEMU]);
	ck_assert_int_eq(minor[XVMM], minor[QEMU]);
	expect_same(capabilities[XVMM], capabilities[QEMU], "capabilities");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		step(requests[i], -1);
	fit_schemas();
	end_both("{'execute':'quit'}", false);
}
END_TEST

/* As it is before a command of the guest's. */
static const char *const requests[] = {
	"{'execute':'query-status'}",
	"{'execute':'query-status','id':'s'}",
	"{'execute':'query-version','arguments':{},'id':0}",
	"{'execute':'query-commands'}",
	"{'execute':'query-kvm'}",
	"{'execute':'query-cpus-fast'}",
	"{'execute':'query-qmp-schema'}",
	/* no command */
	"{'execute':'nothing-like-it','id':null}",
	"{'execute':'','id':1.5}",
	"{'execute':'query-status','arguments':{'x':1},'id':1}",
	"{'execute':'query-status','arguments':[],'id':2}",
	"{'execute':'query-status','more':1,'id':3}",
	"{'execute':5,'id':4}",
	"{'exec-oob':'query-status','id':5}",
	"{'arguments':{},'id':6}",
	"{}",
	"[1]",
	"{x}",
	"}\n",
	/* set_link */
	"{'execute':'set_link','arguments':{'name':'nowhere','up':true}}",
	"{'execute':'set_link','arguments':{'name':'net0'}}",
	"{'execute':'set_link','arguments':{'name':'net0','up':1}}",
	"{'execute':'set_link','arguments':{'name':'net0','up':true,'x':1}}",
	"{'execute':'set_link','arguments':{'name':'net0','up':true}}",
	/* stop and cont */
	"{'execute':'stop'}",
	"{'execute':'stop'}",
	"{'execute':'query-status'}",
	"{'execute':'cont','id':7}",
	"{'execute':'cont'}",
	"{'execute':'query-status'}",
	/* receive filters */
	"{'execute':'query-rx-filter'}",
	"{'execute':'query-rx-filter','arguments':{'name':'net0'}}",
	"{'execute':'query-rx-filter','arguments':{'name':'nowhere'}}",
	"{'execute':'query-rx-filter','arguments':{'name':1}}",
	"{'execute':'query-rx-filter','arguments':{'id':'net0'}}",
	/* without a descriptor */
	"{'execute':'getfd','arguments':{'fdname':'x'},'id':8}",
	"{'execute':'getfd','arguments':{'fdname':1}}",
	"{'execute':'getfd'}",
	"{'execute':'closefd','arguments':{'fdname':'x'}}",
	"{'execute':'closefd'}",
	"{'execute':'system_powerdown'}",
};

/* With one. */
static const char *const passing[] = {
	"{'execute':'getfd','arguments':{'fdname':'a'},'id':1}",
	"{'execute':'getfd','arguments':{'fdname':'a'}}",
	"{'execute':'getfd','arguments':{'fdname':'b'}}",
	"{'execute':'getfd','arguments':{'fdname':'5'}}",
	"{'execute':'getfd','arguments':{'fdname':'5a'}}",
	"{'execute':'getfd','arguments':{'fdname':[]}}",
	"{'execute':'closefd','arguments':{'fdname':'a'}}",
	"{'execute':'closefd','arguments':{'fdname':'a'}}",
	"{'execute':'query-status'}",
};

START_TEST(test_commands)
{
	open_both("spin", "");
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		step(requests[i], -1);
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		step(passing[i], STDERR_FILENO);
	/* As its Python client does: ahead, with a blank. */
	for (int i = 0; i < SIDES; i++) {
		json_decref(query(i, "query-status"));
		qmp_client_send(&sides[i].client, " ", STDERR_FILENO);
	}
	step("{'execute':'getfd','arguments':{'fdname':'c'}}", -1);
	step("{'execute':'closefd','arguments':{'fdname':'c'}}", -1);
	step("{'execute':'closefd','arguments':{'fdname':'b'}}", -1);
	end_both("{'execute':'quit'}", false);
}
END_TEST

/* What only we have has a name that QEMU will never give anything. */
START_TEST(test_names)
{
	json_t *theirs, *info;
	const char *name;

	open_both("spin", "");
	theirs = sides[QEMU].client.schemas[0];
	json_object_foreach(sides[XVMM].client.schemas[1], name, info)
	{
		const char *kind = json_string_value(json_object_get(info, "meta-type"));
		bool own = strncasecmp(name, "xvmm", 4) == 0;

		if (strcmp(kind, "command") == 0 || strcmp(kind, "event") == 0)
			ck_assert_msg(own == !qmp_schema_find(theirs, kind, name), "%s %s", kind,
				      name);
	}
	end_both("{'execute':'quit'}", false);
}
END_TEST

/* --- receive filters --- */

static void await_text(int which, const char *text)
{
	struct process *process = &sides[which].process;

	for (int i = 0; i < TRIES && !strstr(process->text, text); i++)
		process_read(process, TURN_MS);
	ck_assert_msg(strstr(process->text, text) != NULL, "no '%s': %s", text, process->text);
}

/* What the guest does next it does when its link changes. */
static const char link_up[] = "{'execute':'set_link','arguments':{'name':'net0','up':true}}";
static const char link_down[] = "{'execute':'set_link','arguments':{'name':'net0','up':false}}";

static void set_link(const char *request)
{
	for (int i = 0; i < SIDES; i++)
		json_decref(ask(i, request, "set_link", -1));
}

/* The guests are about to end, QEMU at once by isa-debug-exit: it may not come to answer. */
static void end_by_link(void)
{
	for (int i = 0; i < SIDES; i++) {
		qmp_client_send(&sides[i].client, link_down, -1);
		ck_assert_int_eq(process_wait(&sides[i].process), 0);
		qmp_client_close(&sides[i].client);
	}
}

/* An array in some order of its own: what of @a is in @b, and the other way round. */
static void expect_same_elements(const json_t *a, const json_t *b, const char *name)
{
	json_t *element, *other;
	size_t i, k;

	ck_assert_msg(json_array_size(a) == json_array_size(b), "%s: %zu and %zu", name,
		      json_array_size(a), json_array_size(b));
	json_array_foreach(a, i, element)
	{
		bool found = false;

		json_array_foreach(b, k, other) found = found || json_equal(element, other);
		ck_assert_msg(found, "%s", name);
	}
}

static void expect_same_filters(void)
{
	static const char *const tables[] = {"unicast-table", "multicast-table", "vlan-table"};
	json_t *filters[SIDES], *results[SIDES];

	for (int i = 0; i < SIDES; i++) {
		json_t *list = query(i, "query-rx-filter");

		ck_assert_uint_eq(json_array_size(list), 1);
		filters[i] = json_incref(json_array_get(list, 0));
		json_decref(list);
		/* QEMU 7.2 says the opposite of the truth. */
		json_object_del(filters[i], "broadcast-allowed");
		results[i] = json_deep_copy(filters[i]);
		for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++)
			json_object_del(results[i], tables[k]);
	}
	expect_same(results[XVMM], results[QEMU], "query-rx-filter");
	for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++)
		expect_same_elements(json_object_get(filters[XVMM], tables[k]),
				     json_object_get(filters[QEMU], tables[k]), tables[k]);
	for (int i = 0; i < SIDES; i++)
		json_decref(filters[i]);
}

START_TEST(test_filters)
{
	open_both("filter", "");
	for (int i = 0; i < SIDES; i++)
		await_text(i, "ready\n");
	expect_same_filters();
	for (unsigned int round = 0; round < 3; round++) {
		char text[32];

		set_link(link_down);
		snprintf(text, sizeof(text), "filters %u\n", round);
		for (int i = 0; i < SIDES; i++) {
			await_text(i, text);
			json_decref(query(i, "query-status"));
		}
		/* Once, and after the second round not again: nobody has asked. */
		for (int i = 0; i < SIDES; i++) {
			json_t *names = take_events(i);

			ck_assert_uint_eq(json_array_size(names), round != 2);
			if (round != 2)
				ck_assert_str_eq(json_string_value(json_array_get(names, 0)),
						 "NIC_RX_FILTER_CHANGED");
			json_decref(names);
		}
		if (round != 1)
			expect_same_filters();
		set_link(link_up);
		snprintf(text, sizeof(text), "up %u\n", round);
		for (int i = 0; i < SIDES; i++)
			await_text(i, text);
	}
	end_by_link();
}
END_TEST

/* --- the end --- */

static const struct {
	const char *guest;
	const char *cmdline;
	const char *request;
	bool panics;
} ends[] = {
	{"spin", "", "{'execute':'quit'}", false},
	{"spin", "", "{'execute':'system_reset'}", false},
	{"button", "", "{'execute':'system_powerdown'}", false},
	{"button", "then=panic", "{'execute':'system_powerdown'}", true},
};

START_TEST(test_end)
{
	open_both(ends[_i].guest, ends[_i].cmdline);
	for (int i = 0; i < SIDES; i++)
		await_text(i, "ready\n");
	end_both(ends[_i].request, ends[_i].panics);
}
END_TEST

/* --- */

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire), 0);
}

static void tear_down(void)
{
	for (int i = 0; i < SIDES; i++)
		unlink(sides[i].path);
	ck_assert_int_eq(rmdir(directory), 0);
	close(wire[0]);
	close(wire[1]);
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("QMP and QEMU's");
	TCase *tests = tcase_create("qemu");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_negotiation);
	tcase_add_test(tests, test_commands);
	tcase_add_test(tests, test_names);
	tcase_add_test(tests, test_filters);
	tcase_add_loop_test(tests, test_end, 0, sizeof(ends) / sizeof(ends[0]));
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	require_kvm();
	if (system("command -v qemu-system-x86_64 >/dev/null") != 0) {
		fputs("skipped: qemu-system-x86_64 is not installed\n", stderr);
		return STATUS_SKIP;
	}
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
