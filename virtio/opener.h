/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening what has a name: here, or, where this process may not any more, by another one that may
 * (vmm/broker.h).
 */
#ifndef VIRTIO_OPENER_H
#define VIRTIO_OPENER_H

struct error;
struct logger;

enum opening_kind {
	OPENING_TAP,	    /* attached, with its queues */
	OPENING_NAMES,	    /* a socket by which the kernel tells of interfaces' names */
	OPENING_VHOST_NET,  /* /dev/vhost-net */
	OPENING_CONNECTION, /* to the vhost-user socket of that name */
	OPENING_LISTENER,   /* a vhost-user socket of that name */
	OPENING_REMOVAL,    /* of the name of such a one; no descriptor */
	OPENING_CAPTURE,    /* a file of packets to be written (virtio/net_capture.h) */
	OPENING_RECEIVED,   /* what a client of the control socket has passed, by its name; once */
	OPENING_KINDS,
};

enum {
	OPENING_NAME_SIZE = 4096, /* of a path (PATH_MAX) */
	OPENING_FDS_MAX = 253,	  /* that one message can carry (SCM_RIGHTS) */
};

struct opening {
	enum opening_kind kind;
	const char *name; /* less than OPENING_NAME_SIZE bytes; not of OPENING_NAMES, _VHOST_NET */
	unsigned int n_queues; /* of a tap */
};

/* Somebody who opens in our stead. */
struct opener {
	/* As opener_open(). */
	int (*open)(void *opaque, const struct opening *opening, int *fds, struct error *err);
	void *opaque;
};

/* How many descriptors that gives. */
unsigned int opening_n_fds(const struct opening *opening);

/*
 * Have @opener open, or do it here (NULL; then @log gets to hear of a tap that is down). 0, with
 * opening_n_fds() descriptors at @fds, the caller's: non-blocking but /dev/vhost-net,
 * close-on-exec; or a negative errno, with *@err filled. -ENOENT, -ECONNREFUSED and -EAGAIN of a
 * connection: nobody listens there, or is too busy. By the thread that runs the loop, or before it
 * runs.
 */
int opener_open(const struct opener *opener, const struct opening *opening,
		const struct logger *log, int *fds, struct error *err);

#endif
