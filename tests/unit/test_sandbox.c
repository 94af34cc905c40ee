/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/sandbox.h: what confined threads have given up, and what ends the process. */
#include "vmm/sandbox.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign_call.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

enum {
	STATUS_SIZE = 4096,
};

/* The main thread can't be tested as such: Check goes on in it. So another has its filter. */
static void run_confined(enum thread_kind kind, void *(*run)(void *arg), void *arg)
{
	const struct thread_config config = {"confined", kind, &sandbox_filters};
	pthread_t thread;

	ck_assert_int_eq(thread_create(&thread, &config, run, arg), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* --- what they have given up --- */

/* The thread can't open its own status: the descriptor comes from outside. */
struct look {
	_Atomic pid_t tid;
	int go[2];
};

static void *wait_to_be_seen(void *arg)
{
	struct look *look = arg;
	char byte;

	look->tid = gettid();
	return read(look->go[0], &byte, 1) == 1 ? NULL : look;
}

static void expect_line(const char *status, const char *line)
{
	ck_assert_msg(strstr(status, line), "no '%s' in:\n%s", line, status);
}

START_TEST(no_privileges)
{
	const struct thread_config config = {"confined", (enum thread_kind)_i, &sandbox_filters};
	struct look look = {0};
	char path[64], status[STATUS_SIZE] = "";
	pthread_t thread;
	FD_CLEANUP int fd = -1;

	ck_assert_int_eq(pipe(look.go), 0);
	ck_assert_int_eq(thread_create(&thread, &config, wait_to_be_seen, &look), 0);
	while (!look.tid)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", look.tid);
	fd = open(path, O_RDONLY);
	ck_assert_int_gt(read(fd, status, sizeof(status) - 1), 0);
	ck_assert_int_eq(write(look.go[1], "x", 1), 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	expect_line(status, "\nCapPrm:\t0000000000000000\n");
	expect_line(status, "\nCapEff:\t0000000000000000\n");
	expect_line(status, "\nCapInh:\t0000000000000000\n");
	expect_line(status, "\nCapAmb:\t0000000000000000\n");
	expect_line(status, "\nNoNewPrivs:\t1\n");
	expect_line(status, "\nSeccomp:\t2\n");
	close(look.go[0]);
	close(look.go[1]);
}
END_TEST

START_TEST(others_keep_theirs)
{
	char status[STATUS_SIZE] = "";
	FD_CLEANUP int fd = open("/proc/thread-self/status", O_RDONLY);

	run_confined(THREAD_VCPU, do_nothing, NULL);
	ck_assert_int_gt(read(fd, status, sizeof(status) - 1), 0);
	expect_line(status, "\nSeccomp:\t0\n");
}
END_TEST

static void *open_a_file(void *arg)
{
	FD_CLEANUP int fd = open("/dev/null", O_RDONLY);

	*(int *)arg = fd < 0 ? errno : 0;
	return NULL;
}

/* Landlock forbids files where the filter doesn't. */
START_TEST(landlock)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct thread_filters open_filters = {{{&allow, 1}, {&allow, 1}, {&allow, 1}}};
	const struct thread_config config = {"confined", THREAD_RING, &open_filters};
	pthread_t thread;
	int opened = -1;

	ck_assert_int_eq(thread_create(&thread, &config, open_a_file, &opened), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
		puts("this kernel has no Landlock");
	else
		ck_assert_int_eq(opened, EACCES);
}
END_TEST

/* --- what they still can --- */

/* As when a driver starts a device. */
static void *start_ring(void *arg)
{
	const struct thread_config config = {"ring", THREAD_RING, &sandbox_filters};
	pthread_t thread;
	int fd = fd_eventfd();

	(void)arg;
	ck_assert_int_ge(fd, 0);
	fd_eventfd_signal(fd);
	ck_assert_uint_eq(fd_eventfd_drain(fd), 1);
	fd_close(&fd);
	ck_assert_int_eq(thread_create(&thread, &config, do_nothing, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	return NULL;
}

static void *use_memory(void *arg)
{
	static const size_t large = 8 << 20;
	char *memory;

	(void)arg;
	for (size_t size = 1; size <= large; size *= 2) {
		memory = malloc(size);
		ck_assert_ptr_nonnull(memory);
		memset(memory, 1, size);
		memory = realloc(memory, 2 * size);
		ck_assert_ptr_nonnull(memory);
		free(memory);
	}
	return NULL;
}

static void *start_vcpu(void *arg)
{
	(void)arg;
	run_confined(THREAD_VCPU, start_ring, NULL);
	return NULL;
}

START_TEST(threads_of_threads)
{
	run_confined(THREAD_MAIN, start_vcpu, NULL);
}
END_TEST

START_TEST(memory)
{
	run_confined((enum thread_kind)_i, use_memory, NULL);
}
END_TEST

static void *meet(void *barrier)
{
	free(malloc(100));
	pthread_barrier_wait(barrier);
	return NULL;
}

/* As of a device with many queues: so many that malloc() gives them no heaps of their own. */
static void *start_rings(void *arg)
{
	enum {
		RINGS = 64,
	};
	const struct thread_config config = {"ring", THREAD_RING, &sandbox_filters};
	pthread_t threads[RINGS];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, RINGS + 1);
	for (unsigned int i = 0; i < RINGS; i++)
		ck_assert_int_eq(thread_create(&threads[i], &config, meet, &barrier), 0);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < RINGS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	pthread_barrier_destroy(&barrier);
	return arg;
}

START_TEST(many_rings)
{
	run_confined((enum thread_kind)_i, start_rings, NULL);
}
END_TEST

/* The C library tries, now and then. */
static void *open_file(void *arg)
{
	(void)arg;
	ck_assert_int_eq(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
	ck_assert_int_eq(errno, EACCES);
	return NULL;
}

START_TEST(files)
{
	run_confined((enum thread_kind)_i, open_file, NULL);
}
END_TEST

/* Much of it in small pieces: a heap that grows, and shrinks again. */
static void *fill_heap(void *arg)
{
	static char *pieces[1000];

	for (size_t i = 0; i < 1000; i++) {
		pieces[i] = malloc(10000);
		ck_assert_ptr_nonnull(pieces[i]);
	}
	for (size_t i = 1000; i > 0; i--)
		free(pieces[i - 1]);
	return arg;
}

START_TEST(heap)
{
	run_confined((enum thread_kind)_i, fill_heap, NULL);
}
END_TEST

/* --- what ends the process --- */

static void make_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void run_program(void)
{
	char *const argv[] = {(char *)"true", NULL};

	execv("/bin/true", argv);
}

static void start_process(void)
{
	if (fork() == 0)
		_exit(0);
}

static void executable_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_executable(void)
{
	static char page[2 * 4096];

	mprotect((void *)(((uintptr_t)page + 4095) & ~4095UL), 4096, PROT_READ | PROT_EXEC);
}

static void signal_parent(void)
{
	kill(getppid(), 0);
}

static void signal_other_process(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
}

static void trace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void create_vm(void)
{
	ioctl(STDIN_FILENO, KVM_CREATE_VM, 0);
}

static void type_into_terminal(void)
{
	ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static void change_user(void)
{
	if (setuid(65534)) {
		/* Not reached. */
	}
}

static void keep_capabilities(void)
{
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
}

static void (*const forbidden[])(void) = {
	make_socket,   run_program,	     start_process, executable_memory, make_executable,
	signal_parent, signal_other_process, trace,	    create_vm,	       type_into_terminal,
	change_user,   keep_capabilities,    foreign_call, /* last: see make_suite() */
};
enum {
	N_FORBIDDEN = sizeof(forbidden) / sizeof(forbidden[0]),
};

/* Whether this kernel has foreign calls, that one could forbid them. */
static bool has_foreign_calls(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		foreign_call();
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

static void *do_forbidden(void *arg)
{
	(*(void (*const *)(void))arg)();
	return NULL;
}

START_TEST(forbidden_to_vcpu)
{
	run_confined(THREAD_VCPU, do_forbidden, (void *)&forbidden[_i]);
}
END_TEST

START_TEST(forbidden_to_main)
{
	run_confined(THREAD_MAIN, do_forbidden, (void *)&forbidden[_i]);
}
END_TEST

START_TEST(forbidden_to_ring)
{
	run_confined(THREAD_RING, do_forbidden, (void *)&forbidden[_i]);
}
END_TEST

START_TEST(forbidden_to_fill)
{
	run_confined(THREAD_FILL, do_forbidden, (void *)&forbidden[_i]);
}
END_TEST

static void *make_eventfd(void *arg)
{
	(void)arg;
	fd_eventfd();
	return NULL;
}

/* Nor may a ring's thread what a vCPU's may, nor one that fills memory. */
START_TEST(eventfd_of_ring)
{
	run_confined(THREAD_RING, make_eventfd, NULL);
}
END_TEST

START_TEST(eventfd_of_fill)
{
	run_confined(THREAD_FILL, make_eventfd, NULL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *confined = tcase_create("confined"), *killed = tcase_create("killed");
	int n_forbidden = N_FORBIDDEN;

	if (!has_foreign_calls()) {
		printf("SKIP foreign_call: this kernel has no calls of another architecture\n");
		n_forbidden--;
	}
	tcase_add_loop_test(confined, no_privileges, 0, THREAD_KINDS);
	tcase_add_test(confined, others_keep_theirs);
	tcase_add_test(confined, files);
	tcase_add_test(confined, landlock);
	tcase_add_test(confined, threads_of_threads);
	tcase_add_loop_test(confined, memory, 0, THREAD_KINDS);
	tcase_add_loop_test(confined, many_rings, 0, THREAD_RING);
	tcase_add_loop_test(confined, files, 0, THREAD_KINDS);
	tcase_add_loop_test(confined, heap, 0, THREAD_KINDS);
	suite_add_tcase(suite, confined);
	tcase_add_loop_test_raise_signal(killed, forbidden_to_main, SIGSYS, 0, n_forbidden);
	tcase_add_loop_test_raise_signal(killed, forbidden_to_vcpu, SIGSYS, 0, n_forbidden);
	tcase_add_loop_test_raise_signal(killed, forbidden_to_ring, SIGSYS, 0, n_forbidden);
	tcase_add_loop_test_raise_signal(killed, forbidden_to_fill, SIGSYS, 0, n_forbidden);
	tcase_add_test_raise_signal(killed, eventfd_of_ring, SIGSYS);
	tcase_add_test_raise_signal(killed, eventfd_of_fill, SIGSYS);
	suite_add_tcase(suite, killed);
	return suite;
}

int main(void)
{
	SRunner *runner;
	int failed;

	if (!sandbox_possible) {
		printf("SKIP: a build with sanitizers can't have a sandbox\n");
		return 77;
	}
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
