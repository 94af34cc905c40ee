/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vhost-user front-end says to its back-end and makes of the answers, from the first
 * message to the rings; and what of that outlives the connection. For datapath_vhost_user.c, which
 * says when, under its lock.
 *
 * Errors are those of vhost_user_channel.h, and -EOPNOTSUPP: the back-end does nothing wrong, but
 * can't serve this device. After any of them the connection has to end: vhost_user_session_end().
 */
#ifndef VIRTIO_VHOST_USER_SESSION_H
#define VIRTIO_VHOST_USER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/datapath_vhost_user.h"
#include "virtio/vhost_ring.h"
#include "virtio/vhost_user_channel.h"

struct error;

/* What of the epoll set is ready: the low byte of its data; above it the index of a ring. */
enum vhost_user_source {
	VHOST_USER_SOURCE_WAKE,	  /* another thread has left something to do */
	VHOST_USER_SOURCE_TIMER,  /* a reply is late; or it is time to try again */
	VHOST_USER_SOURCE_LISTEN, /* a back-end connects */
	VHOST_USER_SOURCE_REPLY,
	VHOST_USER_SOURCE_REQUEST, /* of the back-end's */
	VHOST_USER_SOURCE_RELAY,   /* an interrupt */
	VHOST_USER_SOURCE_ERR,	   /* the back-end can't serve a ring */
};

struct vhost_user_ring {
	struct vhost_ring vhost;
	bool given;    /* to the back-end that is connected */
	bool enabled;  /* there */
	bool lost;     /* with one that is gone: only the ring itself can say where it stands */
	uint32_t base; /* the answer to GET_VRING_BASE */
};

struct vhost_user_session {
	struct vhost_user_config config;
	unsigned int n_rings;
	struct vhost_user_ring *rings;
	int epoll_fd; /* of all sources */
	int timer_fd; /* while connected: goes off when a reply is late */

	/* The connection. */
	struct vhost_user_channel channel;  /* closed: the back-end is away */
	struct vhost_user_channel requests; /* the back-end's own */
	unsigned int step;		    /* the next one, see steps[] */
	uint64_t has;			    /* virtio features of this back-end */
	uint64_t protocol;		    /* protocol features in force */
	uint64_t queue_pairs, mem_slots;    /* that it can have */
	bool begun;			    /* it has been told of a driver before */
	bool memory_added;		    /* it has the memory slots */
	bool driver_ok;			    /* it knows that */
	unsigned int stopping_ms;	    /* how long it took to stop rings, since it got one */
	bool announce;			    /* @announced, as soon as it serves a ring */
	uint8_t announced[6];

	/* What the first back-end has that there was. */
	bool met;
	uint64_t first; /* virtio features */

	/* What the device wants. */
	bool driver; /* it has one, which has accepted @features */
	uint64_t features;
	bool link;
	unsigned int pairs;

	/* Where back-ends note what they do, for the next one ("Inflight I/O tracking"). */
	int inflight_fd; /* owned, never mapped; -1: none */
	struct vhost_user_inflight inflight;
};

static inline bool vhost_user_session_connected(const struct vhost_user_session *session)
{
	return session->channel.fd >= 0;
}

/* Add to the epoll set, or take out. One that is in is fine. 0 or a negative errno. */
int vhost_user_session_watch(const struct vhost_user_session *session, int fd,
			     enum vhost_user_source source, unsigned int index);
void vhost_user_session_unwatch(const struct vhost_user_session *session, int fd);

/* The timer goes off once, in @ms; 0: not at all. */
void vhost_user_session_set_timer(const struct vhost_user_session *session, unsigned int ms);

/* There is a connection: @fd, taken over. */
int vhost_user_session_begin(struct vhost_user_session *session, int fd, struct error *err);

/* The back-end is gone, or has to go: what rings it had are lost, and interrupt once. */
void vhost_user_session_end(struct vhost_user_session *session);

/* Go on as far as it goes without waiting. Does nothing if not connected. */
int vhost_user_session_advance(struct vhost_user_session *session, struct error *err);

/* All was said, and answered. */
bool vhost_user_session_complete(const struct vhost_user_session *session);

/* Take a reply: 1, or 0 if there is none yet. */
int vhost_user_session_reply(struct vhost_user_session *session, struct error *err);

/* The timer went off: -EPROTO if a reply is late. */
int vhost_user_session_late(const struct vhost_user_session *session, struct error *err);

/* A driver begins; no ring is started. */
void vhost_user_session_set_driver(struct vhost_user_session *session, uint64_t features);

/* What the device wants of its rings has changed: let the back-end know, if it is there. */
int vhost_user_session_update_rings(struct vhost_user_session *session, struct error *err);

/* Have the ring back from the back-end that has it. Waits up to 3 s, for all of them together. */
int vhost_user_session_stop_ring(struct vhost_user_session *session, unsigned int index,
				 struct error *err);

/* The ring's state is right again, if it was lost, for whoever serves it next. */
void vhost_user_session_find_ring(struct vhost_user_session *session, unsigned int index);

/* Ask for a RARP, as soon as rings are served. -ENOTSUP, which harms no connection: it can't. */
int vhost_user_session_announce(struct vhost_user_session *session, const uint8_t mac[6],
				struct error *err);

#endif
