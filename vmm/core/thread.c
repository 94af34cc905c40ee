/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/thread.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/core/fd.h"

/*
 * Far more than any thread here uses, and less than a huge page: where the kernel gives those
 * unasked (transparent_hugepage/enabled: always), each thread would cost 2 MiB of memory.
 */
static const size_t stack_size = 512 << 10;

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

/* This thread has confined itself, and so have those that it starts. */
static _Thread_local bool confined;

/* What a new thread needs to know; its creator's, until it has begun. */
struct beginning {
	const struct thread_config *config;
	void *(*run)(void *arg);
	void *arg;
	bool confined; /* the creator is */
	int ret;       /* whether it is one of its kind: 0 or a negative errno */
	sem_t begun;
};

/* Let it read what is below @path. */
static int allow_reading(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	int ret = 0;

	if (rule.parent_fd < 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		ret = -errno;
	close(rule.parent_fd);
	return ret;
}

/*
 * No file may be opened, made, removed or run, by any system call (Documentation/userspace-api/
 * landlock.rst): a second lock, should the filter have a hole. Without one in the kernel (before
 * 5.13, or not enabled) the filter is all there is.
 */
int thread_limit_files(const char *const *readable)
{
	/* What each version of it learnt to forbid; LANDLOCK_ACCESS_FS_*. */
	static const uint64_t access[] = {0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
	const long versions = sizeof(access) / sizeof(access[0]);
	struct landlock_ruleset_attr all;
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	FD_CLEANUP int fd = -1;
	int ret = 0;

	/* Landlock wants it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (version < 1)
		return 0;
	all = (struct landlock_ruleset_attr){
		.handled_access_fs = access[(version > versions ? versions : version) - 1],
	};
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (fd < 0)
		return -errno;
	for (; readable && *readable && !ret; readable++)
		ret = allow_reading(fd, *readable);
	if (!ret && syscall(SYS_landlock_restrict_self, fd, 0))
		ret = -errno;
	return ret;
}

/* What a child has from its parent need not, and by the parent's filter could not, be given up. */
static int give_up_privileges(void)
{
	if (confined)
		return 0;
	/* Not the bounding set: it would cost 0.2 ms, and is moot with no_new_privs. */
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	return thread_limit_files(NULL);
}

/*
 * The first memory that a thread takes may be the occasion for the C library to look around: how
 * many CPUs there are, say. It shall do so before the filter.
 */
static void settle_malloc(void)
{
	void *volatile some = malloc(1);

	free(some);
}

static int set_filter(const struct thread_filters *filters, enum thread_kind kind)
{
	const struct thread_filter *filter = &filters->of[kind];
	struct sock_filter steps[THREAD_FILTER_STEPS_MAX];
	const struct sock_fprog program = {(unsigned short)filter->n, steps};

	settle_malloc();
	for (size_t i = 0; i < filter->n; i++) {
		steps[i] = filter->steps[i];
		if (steps[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && steps[i].k == THREAD_FILTER_PID)
			steps[i].k = (uint32_t)getpid();
	}
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

int thread_filter(const struct thread_filters *filters, enum thread_kind kind)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : set_filter(filters, kind);
}

int thread_confine(const struct thread_filters *filters, enum thread_kind kind)
{
	int ret = give_up_privileges();

	if (!ret)
		ret = set_filter(filters, kind);
	confined = confined || !ret;
	return ret;
}

static void *begin(void *opaque)
{
	struct beginning *beginning = opaque;
	void *(*run)(void *arg) = beginning->run;
	void *arg = beginning->arg;
	int ret = 0;

	/* By itself: pthread_setname_np() from outside would go through /proc. */
	prctl(PR_SET_NAME, beginning->config->name);
	confined = beginning->confined;
	if (beginning->config->filters)
		ret = thread_confine(beginning->config->filters, beginning->config->kind);
	beginning->ret = ret;
	sem_post(&beginning->begun);
	return ret ? NULL : run(arg);
}

/*
 * All signals are blocked in it but for its own faults: blocked, these would end the process
 * without the handlers that it has for them.
 */
static int start(pthread_t *thread, struct beginning *beginning)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int ret;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack_size);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(thread, &attr, begin, beginning);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

int thread_create(pthread_t *thread, const struct thread_config *config, void *(*run)(void *arg),
		  void *arg)
{
	struct beginning beginning = {
		.config = config,
		.run = run,
		.arg = arg,
		.confined = confined,
	};
	int ret;

	sem_init(&beginning.begun, 0, 0);
	ret = start(thread, &beginning);
	if (!ret) {
		while (sem_wait(&beginning.begun))
			; /* a signal of the embedding program's */
		ret = beginning.ret;
		if (ret)
			pthread_join(*thread, NULL);
	}
	sem_destroy(&beginning.begun);
	return ret;
}
