/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/fd.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>

static int fd;

static void set_up(void)
{
	fd = fd_eventfd();
	ck_assert_int_ge(fd, 0);
}

static void tear_down(void)
{
	fd_close(&fd);
}

/* Who shares the eventfd can do this: the flag is not the descriptor's alone. */
static void make_blocking(void)
{
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_RDWR), 0);
}

static void fill(void)
{
	const uint64_t most = UINT64_MAX - 1;

	ck_assert_int_eq(write(fd, &most, sizeof(most)), sizeof(most));
}

START_TEST(counts)
{
	ck_assert_uint_eq(fd_eventfd_drain(fd), 0);
	fd_eventfd_signal(fd);
	fd_eventfd_signal(fd);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 2);
	fd_eventfd_signal_shared(fd);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 1);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 0);
}
END_TEST

START_TEST(full)
{
	fill();
	fd_eventfd_signal(fd);
	fd_eventfd_signal_shared(fd);
	ck_assert(fd_eventfd_drain(fd) == UINT64_MAX - 1);
}
END_TEST

START_TEST(made_blocking)
{
	make_blocking();
	ck_assert_uint_eq(fd_eventfd_drain(fd), 0);
	fd_eventfd_signal(fd);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 1);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 0);
}
END_TEST

START_TEST(made_blocking_and_full)
{
	make_blocking();
	fill();
	fd_eventfd_signal_shared(fd);
	ck_assert(fd_eventfd_drain(fd) == UINT64_MAX - 1);
}
END_TEST

START_TEST(timer_drains)
{
	const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
	int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct pollfd pfd = {.fd = timer_fd, .events = POLLIN};

	ck_assert_int_ge(timer_fd, 0);
	ck_assert_uint_eq(fd_eventfd_drain(timer_fd), 0);
	ck_assert_int_eq(timerfd_settime(timer_fd, 0, &soon, NULL), 0);
	ck_assert_int_eq(poll(&pfd, 1, -1), 1);
	ck_assert_uint_eq(fd_eventfd_drain(timer_fd), 1);
	close(timer_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventfd");
	TCase *tc = tcase_create("eventfd");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, full);
	tcase_add_test(tc, made_blocking);
	tcase_add_test(tc, made_blocking_and_full);
	tcase_add_test(tc, timer_drains);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
