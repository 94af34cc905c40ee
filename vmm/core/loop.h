/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop over epoll. It owns the watches, never the descriptors in them.
 *
 * A loop belongs to the thread that runs it: every function is for that thread (or for the one
 * that set it up, before it runs), except loop_stop(), which any thread and a signal handler may
 * call.
 */
#ifndef VMM_CORE_LOOP_H
#define VMM_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct loop;

/*
 * One watched descriptor. The struct belongs to the caller, who keeps it while it is added.
 * @ready is called with the epoll events (EPOLLIN, ...) that are there, level-triggered; it may
 * change or remove any watch, this one too.
 */
struct loop_watch {
	int fd; /* borrowed */
	void (*ready)(struct loop_watch *watch, uint32_t events);
	void *opaque;
	bool added;	 /* the loop's */
	bool always;	 /* the loop's: a regular file, which epoll refuses and is always ready */
	uint32_t events; /* the loop's: what is waited for */
	struct loop_watch *next; /* the loop's: the next regular file */
};

/* 0, or a negative errno and *@loop NULL. */
int loop_create(struct loop **loop, struct error *err);

/* Watches that are still added are forgotten. Accepts NULL. */
void loop_destroy(struct loop *loop);

/*
 * Wait for @events (EPOLLIN, EPOLLOUT; 0: nothing, for now, not even the other end's hang-up).
 * Adds or changes. A descriptor can be in one watch at a time: -EEXIST (dup() makes another). 0 or
 * the negative errno of epoll_ctl(), and then nothing has changed.
 */
int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Before the descriptor is closed. @ready is not called any more. A watch not added is fine. */
void loop_watch_remove(struct loop *loop, struct loop_watch *watch);

/* Dispatch until loop_stop(); may be called again after that. */
void loop_run(struct loop *loop);

/* Make loop_run() return soon, or at once if it has not begun. */
void loop_stop(struct loop *loop);

#endif
