/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for the thread that runs a loop, called by others, who wait until it is done. */
#ifndef VMM_CORE_LOOP_CALL_H
#define VMM_CORE_LOOP_CALL_H

#include <pthread.h>
#include <stdbool.h>

#include "vmm/core/loop.h"

struct error;
struct loop_call;

struct loop_caller {
	struct loop *loop;
	struct loop_watch watch; /* of an eventfd, owned */
	pthread_mutex_t lock;	 /* of the next three */
	pthread_cond_t done;
	struct loop_call *first; /* callers that wait, oldest first */
	bool open;
};

/* Before the loop runs. Closed as yet. 0 or a negative errno; destroy it in any case. */
int loop_caller_init(struct loop_caller *caller, struct loop *loop, struct error *err);

/* Closed, and nobody calls any more. Accepts what is all zero. */
void loop_caller_destroy(struct loop_caller *caller);

/* Let calls in; let no more in, and those that wait go: when the loop begins, when it has ended. */
void loop_caller_open(struct loop_caller *caller);
void loop_caller_close(struct loop_caller *caller);

/*
 * Have the thread that runs the loop call @function, and wait for it. False if the loop doesn't
 * run: it was not called. Any thread but that one, which must not hold what it may wait for.
 */
bool loop_call(struct loop_caller *caller, void (*function)(void *argument), void *argument);

#endif
