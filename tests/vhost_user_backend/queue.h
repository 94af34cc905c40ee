/* SPDX-License-Identifier: Apache-2.0 */
/* One ring as the front-end has set it up, and the packets in it. */
#ifndef VHOST_USER_BACKEND_QUEUE_H
#define VHOST_USER_BACKEND_QUEUE_H

#include "tests/vhost_user_backend/far_end.h"
#include "tests/vhost_user_backend/inflight.h"
#include "tests/vhost_user_backend/table.h"
#include "virtio/ring.h"

struct queue {
	unsigned int index;
	uint32_t num; /* 0: not set */
	bool has_addr, has_base;
	uint64_t desc, avail, used; /* user addresses */
	uint32_t base;		    /* as in SET_VRING_BASE */

	/* Owned; -1: not set. */
	int kick_fd, call_fd, err_fd;
	bool polled; /* the front-end said that there is no kick */

	bool enabled;
	bool started;
	struct ring ring;      /* while started */
	bool interrupt;	       /* is owed to the driver */
	unsigned long packets; /* moved since it started */
	unsigned long discarded;
};

/* What all rings share. */
struct queue_context {
	struct table table;
	bool accepted; /* SET_FEATURES has come */
	uint64_t features;
	struct inflight inflight;
};

void queue_init(struct queue *queue, unsigned int index);

/* Start it, if it isn't: the driver has kicked. Violations: it isn't set up, or can't be right. */
void queue_start(struct queue *queue, struct queue_context *context);

/* The memory table has changed. */
void queue_move(struct queue *queue, struct queue_context *context);

/* Serve it no more, and put where it got to into queue->base. */
void queue_stop(struct queue *queue, const struct queue_context *context);

/* Give all descriptors back. */
void queue_close(struct queue *queue);

/* Signal the interrupt that is owed, if there is somebody to signal it to. */
void queue_interrupt(struct queue *queue);

/*
 * Move packets of a pair of rings until there are no more, or no buffers. True if there may be more
 * to do at once.
 */
bool queue_serve_pair(struct queue *receive, struct queue *transmit, struct queue_context *context,
		      struct far_end *far);

/* Whether it would take a packet: started and enabled. */
static inline bool queue_works(const struct queue *queue)
{
	return queue->started && queue->enabled && !queue->ring.broken;
}

#endif
