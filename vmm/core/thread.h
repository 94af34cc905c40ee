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
#include <stddef.h>

/* What a thread is for, and so what it may ask of the kernel. */
enum thread_kind {
	THREAD_MAIN,	 /* runs the loop, and starts the others */
	THREAD_VCPU,	 /* runs a vCPU; starts and stops rings, and so threads of the next kind */
	THREAD_RING,	 /* moves packets: of a pair of rings, or of all of a device with faults */
	THREAD_FILL,	 /* reads files to guest memory (vmm/core/memory_fill.h) */
	THREAD_BROKER,	 /* the only one of the broker's process (vmm/broker.h) */
	THREAD_USER_NET, /* the only one of its process (vmm/user_net_process.h) */
	THREAD_WAITING,	 /* the only one of a process that waits (vmm/pid_namespace.h) */
	THREAD_KINDS,
};

enum {
	THREAD_FILTER_STEPS_MAX = 256, /* BPF instructions */
	/* Filters are made before there is a process: where they say this, its PID is meant. */
	THREAD_FILTER_PID = 0x50494421, /* larger than any PID (2^22) */
};

/* For each kind a seccomp filter; vmm/sandbox.h has those of xvmm. */
struct thread_filters {
	struct thread_filter {
		const struct sock_filter *steps;
		size_t n; /* at most THREAD_FILTER_STEPS_MAX */
	} of[THREAD_KINDS];
};

/*
 * For good, the calling thread gives up the chance to gain privileges (no_new_privs), and puts the
 * filter of @kind in force. 0 or a negative errno.
 */
int thread_filter(const struct thread_filters *filters, enum thread_kind kind);

/*
 * For good, the calling thread gives up the chance to gain privileges, and all files but to read
 * what is below the paths in @readable (NULL at the end, or NULL for none; a path that isn't there
 * is left out). By Landlock: where the kernel has none nothing happens. 0 or a negative errno.
 */
int thread_limit_files(const char *const *readable);

/*
 * For good, the calling thread gives up all capabilities and the chance to gain others
 * (no_new_privs), and all files (Landlock, where the kernel has it), and puts the filter of @kind
 * in force; so begin the threads that it starts. 0 or a negative errno.
 */
int thread_confine(const struct thread_filters *filters, enum thread_kind kind);

struct thread_config {
	const char *name; /* at most 15 characters */
	enum thread_kind kind;
	const struct thread_filters *filters; /* it confines itself first; or NULL. Outlive it. */
};

/*
 * Start @run(@arg) in a thread. 0 or a negative errno, also where it could not be confined: then
 * @run has not run.
 */
int thread_create(pthread_t *thread, const struct thread_config *config, void *(*run)(void *arg),
		  void *arg);

#endif
