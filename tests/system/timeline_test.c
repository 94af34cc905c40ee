/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --timeline: which marks there are, in which order, however the guest ends; over the control
 * socket while it runs; and drawn. XVMM and GUESTS are set as for the shell tests.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "qmp.h"
#include "vmm/core/timeline.h"

enum {
	ARGS_MAX = 24,
	ANSWER_MS = 5000,
};

static struct process process;
static char directory[32], path[64], control[64];

static void set_up(void)
{
	strcpy(directory, "/tmp/xvmm-timeline.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/timeline.json", directory);
	snprintf(control, sizeof(control), "%s/control", directory);
}

static void tear_down(void)
{
	unlink(path);
	rmdir(directory);
}

/* xvmm with the guest "timeline", the NULL-terminated @options, and --timeline @file. */
static void start(const char *file, const char *const *options)
{
	const char *argv[ARGS_MAX] = {need_env("XVMM"), "--kernel", guest_path("timeline"),
				      "--timeline", file};

	for (size_t i = 0; options[i]; i++)
		argv[5 + i] = options[i];
	process_start(&process, argv, -1);
}

static int run(const char *file, const char *const *options)
{
	start(file, options);
	return process_wait(&process);
}

/* The timeline that was written, the caller's, with marks whose times rise. */
static json_t *load(void)
{
	json_error_t error;
	json_t *timeline = json_load_file(path, 0, &error), *mark;
	json_int_t before = 0;
	size_t i;

	ck_assert_msg(timeline != NULL, "%s: %s; xvmm said: %s", path, error.text, process.text);
	json_array_foreach(json_object_get(timeline, "marks"), i, mark)
	{
		json_t *us = json_object_get(mark, "us");

		ck_assert(json_is_integer(us));
		ck_assert_int_ge(json_integer_value(us), before);
		before = json_integer_value(us);
	}
	return timeline;
}

/* Where the mark @name of @device (NULL: none) is in @timeline; -1: nowhere. Not twice. */
static int find(json_t *timeline, const char *name, const char *device)
{
	json_t *mark;
	int found = -1;
	size_t i;

	json_array_foreach(json_object_get(timeline, "marks"), i, mark)
	{
		const char *other = json_string_value(json_object_get(mark, "device"));

		if (strcmp(json_string_value(json_object_get(mark, "name")), name) != 0 ||
		    strcmp(device ? device : "", other ? other : "") != 0)
			continue;
		ck_assert_msg(found < 0, "%s is there twice", name);
		found = (int)i;
	}
	return found;
}

/* The marks @names of @device are all there, in this order. */
static void expect_order(json_t *timeline, const char *device, const char *const *names)
{
	int before = -1;

	for (size_t i = 0; names[i]; i++) {
		int at = find(timeline, names[i], device);

		ck_assert_msg(at > before, "%s %s: mark %d, after mark %d", names[i],
			      device ? device : "", at, before);
		before = at;
	}
}

static const char *const boot[] = {
	"exec",	      "arguments-parsed", "kvm-ready",	   "memory-ready",
	"cpus-ready", "devices-ready",	  "kernel-loaded", "first-guest-instruction",
	NULL};

/* What the guest does on its way, until it ends. */
static void expect_boot(json_t *timeline)
{
	const char *const rest[] = {"first-guest-instruction", "first-console-byte", "guest-ended",
				    NULL};

	expect_order(timeline, NULL, boot);
	expect_order(timeline, NULL, rest);
	ck_assert_int_eq(find(timeline, "guest-ended", NULL),
			 (int)json_array_size(json_object_get(timeline, "marks")) - 1);
}

static json_t *mark_at(json_t *timeline, int index)
{
	return json_array_get(json_object_get(timeline, "marks"), (size_t)index);
}

START_TEST(every_mark)
{
	static const char *const device[] = {"driver", "driver-ok", "first-packet-out", NULL};
	static const char *const received[] = {"driver-ok", "first-packet-in", NULL};
	const char *transport = _i ? "pci" : "mmio";
	int sockets[2];
	char nets[2][32];
	const char *const options[] = {"--net",	      nets[0],	 "--net",  nets[1],
				       "--transport", transport, "--cpus", "2",
				       "--cmdline",   "nets=2",	 NULL};
	json_t *timeline;
	int mark;

	/* One's packets are the other's. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	snprintf(nets[0], sizeof(nets[0]), "fd=%d", sockets[0]);
	snprintf(nets[1], sizeof(nets[1]), "fd=%d,id=wan", sockets[1]);
	ck_assert_msg(run(path, options) == 0, "%s", process.text);
	close(sockets[0]);
	close(sockets[1]);
	timeline = load();
	expect_boot(timeline);
	expect_order(timeline, "net0", device);
	expect_order(timeline, "wan", device);
	expect_order(timeline, "net0", received);
	expect_order(timeline, "wan", received);
	mark = find(timeline, "guest-mark", NULL);
	ck_assert_int_gt(mark, find(timeline, "first-guest-instruction", NULL));
	ck_assert_int_lt(mark, find(timeline, "first-console-byte", NULL));
	ck_assert_int_eq(json_integer_value(json_object_get(mark_at(timeline, mark), "value")), 7);
	/* A packet is sent before it is received. */
	ck_assert_int_lt(find(timeline, "first-packet-out", "net0"),
			 find(timeline, "first-packet-in", "wan"));
	json_decref(timeline);
}
END_TEST

START_TEST(in_the_sandbox)
{
	static const char *const options[] = {"--sandbox", "on", NULL};
	static const char *const expected[] = {"kernel-loaded", "sandbox",
					       "first-guest-instruction", NULL};
	json_t *timeline;
	int status = run(path, options);

	/* Not with sanitizers. */
	if (status == 2 && strstr(process.text, "sandbox"))
		return;
	ck_assert_int_eq(status, 0);
	timeline = load();
	expect_order(timeline, NULL, expected);
	json_decref(timeline);
}
END_TEST

START_TEST(however_it_ends)
{
	static const struct {
		const char *options[5];
		int status;
	} ends[] = {
		{{"--cmdline", "end=panic"}, 3},
		{{"--cmdline", "end=spin", "--timeout", "1"}, 124},
	};
	json_t *timeline;

	ck_assert_int_eq(run(path, ends[_i].options), ends[_i].status);
	timeline = load();
	expect_boot(timeline);
	json_decref(timeline);
}
END_TEST

START_TEST(a_start_that_fails)
{
	static const char *const options[] = {"--net", "no-such-tap", NULL};
	json_t *timeline;

	ck_assert_int_eq(run(path, options), 1);
	timeline = load();
	ck_assert_int_ge(find(timeline, "cpus-ready", NULL), 0);
	ck_assert_int_lt(find(timeline, "devices-ready", NULL), 0);
	ck_assert_int_lt(find(timeline, "guest-ended", NULL), 0);
	json_decref(timeline);
}
END_TEST

START_TEST(too_many_marks)
{
	static const char *const options[] = {"--cmdline", "marks=1000", NULL};
	json_t *timeline, *last;
	size_t n;

	ck_assert_int_eq(run(path, options), 0);
	timeline = load();
	n = json_array_size(json_object_get(timeline, "marks"));
	ck_assert_int_eq(json_integer_value(json_object_get(timeline, "guest-marks-lost")),
			 1001 - TIMELINE_GUEST_MAX);
	ck_assert_int_eq(find(timeline, "guest-ended", NULL), (int)n - 1);
	last = mark_at(timeline, (int)n - 2);
	ck_assert_str_eq(json_string_value(json_object_get(last, "name")), "guest-mark");
	ck_assert_int_eq(json_integer_value(json_object_get(last, "value")),
			 1000 + TIMELINE_GUEST_MAX - 2);
	json_decref(timeline);
}
END_TEST

START_TEST(a_full_disk)
{
	static const char *const options[] = {"--cmdline", "end=pass", NULL};
	static const char *const panics[] = {"--cmdline", "end=panic", NULL};

	ck_assert_int_eq(run("/dev/full", options), 1);
	ck_assert_ptr_nonnull(strstr(process.text, "--timeline: /dev/full: No space left"));
	/* What became of the guest isn't hidden by it. */
	ck_assert_int_eq(run("/dev/full", panics), 3);
	ck_assert_ptr_nonnull(strstr(process.text, "--timeline: /dev/full: No space left"));
}
END_TEST

START_TEST(a_file_that_can_not_be)
{
	static const char *const options[] = {NULL};

	ck_assert_int_eq(run("/nowhere/timeline", options), 1);
	ck_assert_ptr_nonnull(strstr(process.text, "--timeline: /nowhere/timeline: No such file"));
	/* And no guest ran. */
	ck_assert_ptr_null(strstr(process.text, "hello"));
	ck_assert_int_eq(run("", options), 2);
}
END_TEST

/* What the program @argv prints. */
static const char *output(const char *const *argv, int status)
{
	static struct process program;

	process_start(&program, argv, -1);
	ck_assert_msg(process_wait(&program) == status, "%s", program.text);
	return program.text;
}

START_TEST(while_it_runs)
{
	/* Without --timeline. */
	const char *const argv[] = {need_env("XVMM"), "--kernel", guest_path("timeline"),
				    "--control",      control,	  "--cmdline",
				    "end=spin",	      NULL};
	const char *const ctl[] = {argv[0], "ctl", control, "timeline", NULL};
	const char *const too_much[] = {argv[0], "ctl", control, "timeline", "a=1", NULL};
	char line[8192];
	const char *text;
	json_t *reply, *timeline;
	int fd;

	process_start(&process, argv, -1);
	fd = qmp_connect(control);
	while (!strstr(process.text, "done"))
		process_read(&process, ANSWER_MS);
	qmp_send(fd, "{\"execute\": \"xvmm-timeline\"}");
	ck_assert(qmp_receive(fd, line, sizeof(line), ANSWER_MS));
	reply = json_loads(line, 0, NULL);
	timeline = json_object_get(reply, "return");
	expect_order(timeline, NULL, boot);
	ck_assert_int_ge(find(timeline, "first-console-byte", NULL), 0);
	ck_assert_int_lt(find(timeline, "guest-ended", NULL), 0);
	json_decref(reply);

	text = output(ctl, 0);
	ck_assert_ptr_nonnull(strstr(text, " first-guest-instruction\n"));
	ck_assert_ptr_nonnull(strstr(text, "guest-mark 7\n"));
	ck_assert_ptr_nonnull(strstr(output(too_much, 2), "'a=1' is too much"));
	qmp_send(fd, "{\"execute\": \"quit\"}");
	ck_assert_int_eq(process_wait(&process), 0);
	close(fd);
}
END_TEST

START_TEST(drawn)
{
	static const char *const options[] = {NULL};
	const char *const argv[] = {need_env("XVMM"), "timeline", path, NULL};
	const char *const without[] = {argv[0], "timeline", NULL};
	const char *const missing[] = {argv[0], "timeline", "/nowhere/timeline", NULL};
	const char *const broken[] = {argv[0], "timeline", guest_path("timeline"), NULL};
	const char *text;

	ck_assert_int_eq(run(path, options), 0);
	text = output(argv, 0);
	ck_assert_ptr_nonnull(strstr(text, "      0.000        0.000  | "));
	ck_assert_ptr_nonnull(strstr(text, "| guest-ended\n"));
	ck_assert_ptr_nonnull(strstr(output(without, 2), "xvmm: timeline: it takes one FILE"));
	ck_assert_ptr_nonnull(strstr(output(missing, 1), "/nowhere/timeline: No such file"));
	ck_assert_ptr_nonnull(strstr(output(broken, 1), "line 1: "));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tcase = tcase_create("timeline");
	SRunner *runner = srunner_create(suite);
	int failed;

	require_kvm();
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, every_mark, 0, 2);
	tcase_add_test(tcase, in_the_sandbox);
	tcase_add_loop_test(tcase, however_it_ends, 0, 2);
	tcase_add_test(tcase, a_start_that_fails);
	tcase_add_test(tcase, too_many_marks);
	tcase_add_test(tcase, a_full_disk);
	tcase_add_test(tcase, a_file_that_can_not_be);
	tcase_add_test(tcase, while_it_runs);
	tcase_add_test(tcase, drawn);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
