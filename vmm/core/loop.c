/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"

enum {
	BATCH = 16,
};

struct loop {
	int epoll_fd; /* owned */
	int stop_fd;  /* eventfd, owned; in the epoll set with a NULL pointer */

	/* What epoll_wait() gave and is not dispatched yet; a NULL pointer: not to be called. */
	struct epoll_event batch[BATCH];
	int n_batch;

	struct loop_watch *always;	/* regular files, linked by next */
	struct loop_watch *next_always; /* the one after that which is being called */
};

int loop_create(struct loop **result, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct loop *loop;
	int ret;

	*result = NULL;
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return error_set(err, -ENOMEM, "event loop: no memory");
	loop->stop_fd = fd_eventfd();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->stop_fd < 0) {
		ret = error_code(err, loop->stop_fd, "event loop: no eventfd");
	} else if (loop->epoll_fd < 0 ||
		   epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &event) < 0) {
		ret = error_errno(err, "event loop: epoll");
	} else {
		*result = loop;
		return 0;
	}
	loop_destroy(loop);
	return ret;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	fd_close(&loop->epoll_fd);
	fd_close(&loop->stop_fd);
	free(loop);
}

/* Forget what epoll has said about @watch and nobody was told yet. */
static void forget(struct loop *loop, const struct loop_watch *watch)
{
	for (int i = 0; i < loop->n_batch; i++) {
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].events = 0;
	}
}

static void always_insert(struct loop *loop, struct loop_watch *watch)
{
	watch->always = true;
	watch->next = loop->always;
	loop->always = watch;
}

static void always_remove(struct loop *loop, struct loop_watch *watch)
{
	struct loop_watch **at = &loop->always;

	if (loop->next_always == watch)
		loop->next_always = watch->next;
	while (*at != watch)
		at = &(*at)->next;
	*at = watch->next;
	watch->next = NULL;
	watch->always = false;
}

int loop_watch_set(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	int op;

	if (!watch->added) {
		watch->always = false;
		watch->events = 0;
		watch->next = NULL;
	}
	if (events != watch->events && !watch->always) {
		/* epoll tells of EPOLLHUP even where nothing is waited for: then it must not
		 * have the descriptor at all, or the loop would spin. */
		op = !watch->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
		if (epoll_ctl(loop->epoll_fd, op, watch->fd, &event) < 0) {
			if (op != EPOLL_CTL_ADD || errno != EPERM)
				return -errno;
			always_insert(loop, watch);
		}
	}
	watch->added = true;
	watch->events = events;
	if (!events)
		forget(loop, watch);
	return 0;
}

void loop_watch_remove(struct loop *loop, struct loop_watch *watch)
{
	if (!watch->added)
		return;
	if (watch->always)
		always_remove(loop, watch);
	else if (watch->events)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->events = 0;
	watch->added = false;
	forget(loop, watch);
}

static bool dispatch_always(struct loop *loop)
{
	bool busy = false;

	for (struct loop_watch *watch = loop->always; watch; watch = loop->next_always) {
		loop->next_always = watch->next;
		if (watch->events) {
			busy = true;
			watch->ready(watch, watch->events);
		}
	}
	return busy;
}

void loop_run(struct loop *loop)
{
	bool stop = false;
	bool busy = true; /* a regular file is perhaps ready: only look what else there is */

	while (!stop) {
		int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, busy ? 0 : -1);

		if (n < 0 && errno != EINTR)
			return;
		loop->n_batch = n > 0 ? n : 0;
		for (int i = 0; i < loop->n_batch; i++) {
			struct loop_watch *watch = loop->batch[i].data.ptr;
			uint32_t events = loop->batch[i].events;

			if (!watch) {
				fd_eventfd_drain(loop->stop_fd);
				stop = true;
				continue;
			}
			/* What an earlier callback of this batch stopped waiting for is not told.
			 */
			if (events)
				events &= watch->events | EPOLLERR | EPOLLHUP;
			if (events)
				watch->ready(watch, events);
		}
		loop->n_batch = 0;
		busy = !stop && dispatch_always(loop);
	}
}

void loop_stop(struct loop *loop)
{
	fd_eventfd_signal(loop->stop_fd);
}
