/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the library. They block every signal but those of their own faults, so that the
 * signals of the program that embeds it stay that program's business. Where there is a sandbox they
 * confine themselves before they run anything.
 */
#ifndef VMM_CORE_THREAD_H
#define VMM_CORE_THREAD_H

#include <linux/filter.h>
#include <pthread.h>

/* What a thread is for, and so what it may ask of the kernel. */
enum thread_kind {
	THREAD_VCPU, /* runs a vCPU; starts and stops rings, and so threads of the next kind */
	THREAD_RING, /* moves the packets of one ring */
	THREAD_KINDS,
};

/* For each kind a seccomp filter; made by vmm/sandbox.h. */
struct thread_filters {
	struct sock_fprog programs[THREAD_KINDS];
};

struct thread_config {
	const char *name; /* at most 15 characters */
	enum thread_kind kind;
	/*
	 * If not NULL the thread gives up all capabilities and the chance to gain others
	 * (no_new_privs), and puts its kind's filter in force. Outlives the thread's beginning.
	 */
	const struct thread_filters *filters;
};

/*
 * Start @run(@arg) in a thread. 0 or a negative errno, also where it could not be confined: then
 * @run has not run.
 */
int thread_create(pthread_t *thread, const struct thread_config *config, void *(*run)(void *arg),
		  void *arg);

#endif
