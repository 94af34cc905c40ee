/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/loop.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/core/fd.h"

static struct loop *loop;

static void setup(void)
{
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
}

static void teardown(void)
{
	loop_destroy(loop);
}

/* A watch with what its callback shall do. */
struct probe {
	struct loop_watch watch;
	unsigned int calls, stop_after;
	uint32_t events;
	struct probe *remove, *pause;
	bool drain;
};

static void probe_ready(struct loop_watch *watch, uint32_t events)
{
	struct probe *probe = watch->opaque;

	probe->calls++;
	probe->events = events;
	if (probe->drain)
		fd_eventfd_drain(watch->fd);
	if (probe->remove)
		loop_watch_remove(loop, &probe->remove->watch);
	if (probe->pause)
		ck_assert_int_eq(loop_watch_set(loop, &probe->pause->watch, 0), 0);
	if (probe->stop_after && probe->calls >= probe->stop_after)
		loop_stop(loop);
}

static struct probe probe_on(int fd)
{
	ck_assert_int_ge(fd, 0);
	return (struct probe){.watch = {.fd = fd, .ready = probe_ready}, .stop_after = 1};
}

static int watch(struct probe *probe, uint32_t events)
{
	probe->watch.opaque = probe;
	return loop_watch_set(loop, &probe->watch, events);
}

static void run_for_ms(unsigned int ms)
{
	const struct itimerspec when = {.it_value.tv_nsec = ms * 1000000L};
	struct probe timer = probe_on(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));

	timer.drain = true;
	timerfd_settime(timer.watch.fd, 0, &when, NULL);
	ck_assert_int_eq(watch(&timer, EPOLLIN), 0);
	loop_run(loop);
	ck_assert_uint_eq(timer.calls, 1);
	loop_watch_remove(loop, &timer.watch);
	close(timer.watch.fd);
}

START_TEST(null_and_unused)
{
	struct probe probe = probe_on(0);

	loop_destroy(NULL);
	loop_watch_remove(loop, &probe.watch); /* never added */
}
END_TEST

START_TEST(level_triggered)
{
	struct probe probe = probe_on(fd_eventfd());

	ck_assert_int_eq(watch(&probe, EPOLLIN), 0);
	fd_eventfd_signal(probe.watch.fd);
	probe.stop_after = 3;
	loop_run(loop);
	ck_assert_uint_ge(probe.calls, 3);
	ck_assert_uint_eq(probe.events, EPOLLIN);
	loop_watch_remove(loop, &probe.watch);
	ck_assert(!probe.watch.added);
	probe.calls = 0;
	run_for_ms(10);
	ck_assert_uint_eq(probe.calls, 0);
	close(probe.watch.fd);
}
END_TEST

START_TEST(stop_before_run_and_again)
{
	struct probe probe = probe_on(fd_eventfd());

	loop_stop(loop);
	loop_run(loop);
	/* The stop is used up: this one ends by the watch. */
	ck_assert_int_eq(watch(&probe, EPOLLIN), 0);
	fd_eventfd_signal(probe.watch.fd);
	loop_run(loop);
	ck_assert_uint_ge(probe.calls, 1);
	loop_watch_remove(loop, &probe.watch);
	close(probe.watch.fd);
}
END_TEST

static void *stop_thread(void *arg)
{
	(void)arg;
	usleep(20000);
	loop_stop(loop);
	return NULL;
}

START_TEST(stop_from_thread)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, stop_thread, NULL), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
}
END_TEST

static void on_alarm(int signal)
{
	(void)signal;
	loop_stop(loop);
}

START_TEST(stop_from_signal)
{
	const struct itimerval when = {.it_value.tv_usec = 20000};

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &when, NULL);
	loop_run(loop);
}
END_TEST

/* Both are ready in one batch, and whichever is first takes the other out. */
START_TEST(remove_in_batch)
{
	struct probe a = probe_on(fd_eventfd()), b = probe_on(fd_eventfd());

	a.drain = b.drain = true;
	a.remove = &b;
	b.remove = &a;
	ck_assert_int_eq(watch(&a, EPOLLIN), 0);
	ck_assert_int_eq(watch(&b, EPOLLIN), 0);
	fd_eventfd_signal(a.watch.fd);
	fd_eventfd_signal(b.watch.fd);
	loop_run(loop);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	close(a.watch.fd);
	close(b.watch.fd);
}
END_TEST

START_TEST(pause_in_batch)
{
	struct probe a = probe_on(fd_eventfd()), b = probe_on(fd_eventfd());

	a.drain = b.drain = true;
	a.pause = &b;
	b.pause = &a;
	ck_assert_int_eq(watch(&a, EPOLLIN), 0);
	ck_assert_int_eq(watch(&b, EPOLLIN), 0);
	fd_eventfd_signal(a.watch.fd);
	fd_eventfd_signal(b.watch.fd);
	loop_run(loop);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	/* Waited for again, it comes again. */
	a.pause = b.pause = NULL;
	ck_assert_int_eq(watch(a.calls ? &b : &a, EPOLLIN), 0);
	loop_watch_remove(loop, a.calls ? &a.watch : &b.watch);
	loop_run(loop);
	ck_assert_uint_eq(a.calls, 1);
	ck_assert_uint_eq(b.calls, 1);
	close(a.watch.fd);
	close(b.watch.fd);
}
END_TEST

static void free_watch(struct loop_watch *w)
{
	loop_watch_remove(loop, w);
	close(w->fd);
	free(w);
}

/* One of two, on the heap: whichever is called first removes and frees the other. */
static struct loop_watch *survivor;

static void free_other(struct loop_watch *w, uint32_t events)
{
	(void)events;
	survivor = w;
	if (w->opaque)
		free_watch(w->opaque);
	w->opaque = NULL;
	loop_stop(loop);
}

START_TEST(free_in_batch)
{
	struct loop_watch *w[2];

	for (int i = 0; i < 2; i++) {
		w[i] = calloc(1, sizeof(*w[i]));
		ck_assert_ptr_nonnull(w[i]);
		w[i]->fd = _i ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd_eventfd();
		w[i]->ready = free_other;
		if (!_i)
			fd_eventfd_signal(w[i]->fd);
		ck_assert_int_eq(loop_watch_set(loop, w[i], EPOLLIN), 0);
	}
	w[0]->opaque = w[1];
	w[1]->opaque = w[0];
	loop_run(loop);
	free_watch(survivor);
}
END_TEST

/* A callback removes itself and frees its watch. */
static void free_itself(struct loop_watch *w, uint32_t events)
{
	(void)events;
	loop_watch_remove(loop, w);
	close(w->fd);
	free(w);
	loop_stop(loop);
}

START_TEST(remove_itself)
{
	for (int kind = 0; kind < 2; kind++) {
		struct loop_watch *w = calloc(1, sizeof(*w));

		ck_assert_ptr_nonnull(w);
		w->fd = kind ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd_eventfd();
		w->ready = free_itself;
		if (!kind)
			fd_eventfd_signal(w->fd);
		ck_assert_int_eq(loop_watch_set(loop, w, EPOLLIN), 0);
		loop_run(loop);
	}
}
END_TEST

/* epoll tells of a hang-up that nobody waits for; the loop must neither call nor spin. */
START_TEST(paused_hangup)
{
	struct rusage before, after;
	struct probe probe;
	long ms;
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	probe = probe_on(sv[0]);
	ck_assert_int_eq(watch(&probe, EPOLLIN), 0);
	ck_assert_int_eq(watch(&probe, 0), 0);
	close(sv[1]);
	getrusage(RUSAGE_SELF, &before);
	run_for_ms(300);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_uint_eq(probe.calls, 0);
	ms = (after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec -
	      before.ru_stime.tv_sec) *
		     1000 +
	     (after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec -
	      before.ru_stime.tv_usec) /
		     1000;
	ck_assert_int_lt(ms, 100);
	ck_assert_int_eq(watch(&probe, EPOLLIN), 0);
	loop_run(loop);
	ck_assert(probe.events & EPOLLHUP);
	loop_watch_remove(loop, &probe.watch);
	close(sv[0]);
}
END_TEST

START_TEST(change_events)
{
	struct probe probe;
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	probe = probe_on(sv[0]);
	ck_assert_int_eq(watch(&probe, EPOLLIN), 0);
	ck_assert_int_eq(watch(&probe, EPOLLOUT), 0);
	loop_run(loop);
	ck_assert_uint_eq(probe.events, EPOLLOUT);
	ck_assert_int_eq(write(sv[1], "x", 1), 1);
	ck_assert_int_eq(watch(&probe, EPOLLIN | EPOLLOUT), 0);
	loop_run(loop);
	ck_assert_uint_eq(probe.events, EPOLLIN | EPOLLOUT);
	loop_watch_remove(loop, &probe.watch);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(errors)
{
	struct probe a = probe_on(fd_eventfd()), b = probe_on(a.watch.fd), closed;

	ck_assert_int_eq(watch(&a, EPOLLIN), 0);
	ck_assert_int_eq(watch(&b, EPOLLIN), -EEXIST);
	ck_assert(!b.watch.added);
	loop_watch_remove(loop, &b.watch); /* must not take a's place away */
	fd_eventfd_signal(a.watch.fd);
	loop_run(loop);
	ck_assert_uint_ge(a.calls, 1);
	closed = probe_on(dup(0));
	close(closed.watch.fd);
	ck_assert_int_eq(watch(&closed, EPOLLIN), -EBADF);
	ck_assert(!closed.watch.added);
	loop_watch_remove(loop, &a.watch);
	close(a.watch.fd);
}
END_TEST

/* A file next to an eventfd: neither starves, nothing is called when it is paused. */
START_TEST(regular_file)
{
	struct probe file = probe_on(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	struct probe null = probe_on(open("/dev/null", O_RDONLY | O_CLOEXEC));
	struct probe event = probe_on(fd_eventfd());

	file.stop_after = null.stop_after = 0;
	event.stop_after = 5;
	ck_assert_int_eq(watch(&file, EPOLLIN), 0);
	ck_assert_int_eq(watch(&null, EPOLLIN), 0);
	ck_assert_int_eq(watch(&event, EPOLLIN), 0);
	ck_assert(file.watch.always);
	ck_assert(null.watch.always);
	ck_assert(!event.watch.always);
	fd_eventfd_signal(event.watch.fd);
	loop_run(loop);
	ck_assert_uint_ge(file.calls, 4);
	ck_assert_uint_ge(null.calls, 4);
	ck_assert_uint_eq(file.events, EPOLLIN);
	loop_watch_remove(loop, &event.watch);

	ck_assert_int_eq(watch(&file, 0), 0);
	loop_watch_remove(loop, &null.watch);
	file.calls = null.calls = 0;
	run_for_ms(20);
	ck_assert_uint_eq(file.calls, 0);
	ck_assert_uint_eq(null.calls, 0);

	/* Alone, and again. */
	file.stop_after = 3;
	ck_assert_int_eq(watch(&file, EPOLLIN), 0);
	loop_run(loop);
	ck_assert_uint_eq(file.calls, 3);
	loop_watch_remove(loop, &file.watch);
	close(file.watch.fd);
	close(null.watch.fd);
	close(event.watch.fd);
}
END_TEST

/* Three files: each removes another in its callback, in every order. */
START_TEST(regular_file_removal)
{
	for (int order = 0; order < 9; order++) {
		struct probe p[3];

		for (int i = 0; i < 3; i++) {
			p[i] = probe_on(open("/dev/null", O_RDONLY | O_CLOEXEC));
			ck_assert_int_eq(watch(&p[i], EPOLLIN), 0);
		}
		p[order / 3].remove = &p[order % 3];
		p[0].stop_after = p[1].stop_after = p[2].stop_after = 0;
		p[order / 3].stop_after = 1;
		loop_run(loop);
		ck_assert_uint_eq(p[order / 3].calls, 1);
		ck_assert_uint_le(p[order % 3].calls, 1);
		for (int i = 0; i < 3; i++) {
			ck_assert(p[i].watch.added == (i != order % 3));
			loop_watch_remove(loop, &p[i].watch);
			close(p[i].watch.fd);
		}
	}
}
END_TEST

/* More descriptors ready than a batch holds. */
START_TEST(many)
{
	struct probe p[40];
	bool all = false;

	for (int i = 0; i < 40; i++) {
		p[i] = probe_on(fd_eventfd());
		p[i].drain = true;
		ck_assert_int_eq(watch(&p[i], EPOLLIN), 0);
		fd_eventfd_signal(p[i].watch.fd);
	}
	for (int round = 0; round < 40 && !all; round++) {
		loop_run(loop);
		all = true;
		for (int i = 0; i < 40; i++)
			all = all && p[i].calls > 0;
	}
	ck_assert(all);
	for (int i = 0; i < 40; i++) {
		ck_assert_uint_eq(p[i].calls, 1);
		loop_watch_remove(loop, &p[i].watch);
		close(p[i].watch.fd);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tc = tcase_create("loop");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, null_and_unused);
	tcase_add_test(tc, level_triggered);
	tcase_add_test(tc, stop_before_run_and_again);
	tcase_add_test(tc, stop_from_thread);
	tcase_add_test(tc, stop_from_signal);
	tcase_add_test(tc, remove_in_batch);
	tcase_add_test(tc, pause_in_batch);
	tcase_add_loop_test(tc, free_in_batch, 0, 2);
	tcase_add_test(tc, remove_itself);
	tcase_add_test(tc, paused_hangup);
	tcase_add_test(tc, change_events);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, regular_file);
	tcase_add_test(tc, regular_file_removal);
	tcase_add_test(tc, many);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
