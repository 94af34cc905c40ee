/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test and the shim (shim.c) share: which call is to fail, and which calls were seen. In
 * memory that a program inherits as the descriptor that PLAN_FD names; or, in a program that is
 * linked to the shim, what shim_attach() was given.
 *
 * A call is known by where it comes from, the return addresses on the stack, and an ioctl by its
 * request as well, not by its number: so it is the same one in every run, however threads take
 * turns. Address space randomisation must be off. A process that it forks is a part of the program.
 */
#ifndef TESTS_FAULTS_PLAN_H
#define TESTS_FAULTS_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLAN_FD "XVMM_FAULT_PLAN"

enum {
	PLAN_SITES = 8192, /* a power of two */
	PLAN_DEPTH = 8,	   /* return addresses, from the wrapped function's on */
};

/* Nothing fails, and nothing is noted down, in PHASE_OFF. */
enum phase {
	PHASE_OFF,
	PHASE_START,
	PHASE_RUNNING,
	PHASE_STOPPING,
};

/* Functions, or what is done with one, by the errors that they have. */
enum call {
	CALL_NONE,     /* of no interest */
	CALL_ALLOCATE, /* malloc and its kind */
	CALL_MMAP,
	CALL_MADVISE,
	CALL_THREAD,
	CALL_FORK,
	CALL_DESCRIPTOR, /* what makes one: open, socket, eventfd, ... */
	CALL_MEMFD,
	CALL_FTRUNCATE,
	CALL_FCNTL,
	CALL_ACCEPT,
	CALL_CONNECT,
	CALL_BIND,
	CALL_LISTEN,
	CALL_EPOLL_ADD,
	CALL_WAIT, /* epoll_wait, poll */
	CALL_KVM_RUN,
	CALL_KVM_IOCTL,
	CALL_VHOST_IOCTL, /* of vhost-net */
	CALL_IOCTL,
	CALL_READ_EVENT, /* an eventfd or timerfd */
	CALL_WRITE_EVENT,
	CALL_READ,
	CALL_WRITE,
	CALL_RECEIVE,
	CALL_SEND,
	N_CALLS,
};

struct site {
	_Atomic uint64_t id; /* 0: free */
	uint32_t phase;
	uint32_t call;
	uint64_t request; /* of an ioctl, with the index of vhost's ring in bits 32 to 63 */
	uintptr_t from[PLAN_DEPTH]; /* less the address where the program is loaded */
};

struct plan {
	_Atomic uint32_t phase;

	/* What fails: the call at a site, and perhaps all later ones of its kind. */
	uint64_t id; /* 0: nothing */
	enum call call;
	int code;
	bool for_good;
	_Atomic uint32_t n_failed;
	_Atomic int32_t failed_in; /* the process's id */

	/* Processes of the program that have not ended by exit(), or by _exit() without the shim.
	 */
	_Atomic int32_t n_processes;

	_Atomic uint32_t n_lost;       /* sites that there was no room for */
	struct site sites[PLAN_SITES]; /* a hash table */
};

/* Use @plan in this process. */
void shim_attach(struct plan *plan);

#endif
