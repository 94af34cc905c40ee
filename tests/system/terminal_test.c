/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a terminal: raw while the guest runs, the escape key works, and restored on every way out.
 * With SANDBOX in the environment, under --sandbox $SANDBOX.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "process.h"

enum {
	PATIENCE_MS = 10000,
};

static int keyboard; /* the test's end of the terminal */
static int terminal; /* xvmm's */
static struct termios before;
static struct process process;
static char screen[65536];

static void set_up(void)
{
	ck_assert_int_eq(openpty(&keyboard, &terminal, NULL, NULL, NULL), 0);
	fcntl(keyboard, F_SETFD, FD_CLOEXEC);
	ck_assert_int_eq(tcgetattr(terminal, &before), 0);
	ck_assert(before.c_lflag & ECHO);
}

static void start(const char *guest, const char *option, const char *value)
{
	const char *sandbox = getenv("SANDBOX");
	const char *argv[8] = {need_env("XVMM"), "--kernel", guest_path(guest)};
	size_t n = 3;

	if (sandbox) {
		argv[n++] = "--sandbox";
		argv[n++] = sandbox;
	}
	argv[n++] = option;
	argv[n] = value;
	process_start(&process, argv, terminal);
}

/* Read what is shown until @text is. */
static void await(const char *text)
{
	struct pollfd readable = {.fd = keyboard, .events = POLLIN};
	size_t len = 0;
	ssize_t n;

	while (strstr(screen, text) == NULL) {
		ck_assert_msg(poll(&readable, 1, stretched(PATIENCE_MS)) == 1,
			      "'%s' is not shown: %s", text, screen);
		n = read(keyboard, screen + len, sizeof(screen) - 1 - len);
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
		screen[len] = '\0';
	}
}

static void type(const char *keys)
{
	ck_assert_int_eq(write(keyboard, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void expect_end(int status)
{
	struct termios after;

	ck_assert_int_eq(process_wait(&process), status);
	ck_assert_int_eq(tcgetattr(terminal, &after), 0);
	ck_assert_msg(after.c_iflag == before.c_iflag && after.c_oflag == before.c_oflag &&
			      after.c_cflag == before.c_cflag && after.c_lflag == before.c_lflag &&
			      memcmp(after.c_cc, before.c_cc, sizeof(after.c_cc)) == 0,
		      "the terminal is not restored");
}

static void expect_raw(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(terminal, &now), 0);
	ck_assert_uint_eq(now.c_lflag & (ICANON | ECHO | ISIG), 0);
}

START_TEST(test_debug_exit)
{
	start("hello", "--cmdline", "status=42");
	expect_end(42);
}
END_TEST

START_TEST(test_triple_fault)
{
	start("triple-fault", NULL, NULL);
	expect_end(3);
}
END_TEST

START_TEST(test_timeout)
{
	start("spin", "--timeout", "3"); /* time to look at it meanwhile */
	await("ready");
	expect_raw();
	expect_end(124);
}
END_TEST

START_TEST(test_wrong_usage)
{
	start("spin", "--cpus", "none");
	expect_end(2);
}
END_TEST

START_TEST(test_keys)
{
	start("irq", NULL, NULL);
	await("ready");
	type("ping");
	expect_end(0);
}
END_TEST

START_TEST(test_escape)
{
	start("spin", NULL, NULL);
	await("ready");
	type("\001h");
	await("C-a x");
	type("\001x");
	expect_end(0);
}
END_TEST

/* Those that end xvmm at once; what SIGTERM and SIGINT do is in exit.sh. */
static const int signals[] = {SIGHUP, SIGQUIT};

START_TEST(test_signal)
{
	start("spin", NULL, NULL);
	await("ready");
	kill(process.pid, signals[_i]);
	expect_end(128 + signals[_i]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("terminal");
	TCase *tests = tcase_create("terminal");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, test_debug_exit);
	if (has_guest("triple-fault"))
		tcase_add_test(tests, test_triple_fault);
	tcase_add_test(tests, test_timeout);
	tcase_add_test(tests, test_wrong_usage);
	tcase_add_test(tests, test_keys);
	tcase_add_test(tests, test_escape);
	tcase_add_loop_test(tests, test_signal, 0, sizeof(signals) / sizeof(signals[0]));
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
