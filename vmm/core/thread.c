/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

/*
 * Far more than any thread here uses, and less than a huge page: where the kernel gives those
 * unasked (transparent_hugepage/enabled: always), each thread would cost 2 MiB of memory.
 */
static const size_t stack_size = 512 << 10;

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

/* What a new thread needs to know; it frees it. */
struct beginning {
	void *(*run)(void *arg);
	void *arg;
	char name[16];
};

static void *begin(void *opaque)
{
	struct beginning beginning = *(struct beginning *)opaque;

	free(opaque);
	/* By itself: pthread_setname_np() from outside would go through /proc. */
	prctl(PR_SET_NAME, beginning.name);
	return beginning.run(beginning.arg);
}

int thread_create(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg)
{
	struct beginning *beginning = malloc(sizeof(*beginning));
	sigset_t all, before;
	pthread_attr_t attr;
	int ret;

	if (!beginning)
		return -ENOMEM;
	beginning->run = run;
	beginning->arg = arg;
	snprintf(beginning->name, sizeof(beginning->name), "%s", name);

	/*
	 * Not the thread's own faults: blocked, these would end the process without the handlers
	 * that it has for them.
	 */
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack_size);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(thread, &attr, begin, beginning);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (ret)
		free(beginning);
	return -ret;
}
