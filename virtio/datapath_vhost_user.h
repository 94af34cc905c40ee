/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user datapath: another process, the back-end, serves the rings in shared guest memory
 * (QEMU's docs/interop/vhost-user.rst; this is the front-end). It may come late, die at any moment
 * and come back: the rings wait meanwhile, and go on where they were. What it says is not trusted:
 * a wrong message ends the connection, with a warning that says what was wrong, and nothing else.
 */
#ifndef VIRTIO_DATAPATH_VHOST_USER_H
#define VIRTIO_DATAPATH_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

struct datapath;
struct error;
struct guest_memory;
struct logger;
struct loop;
struct opener;

struct vhost_user_config {
	const char *name;		/* for messages; copied */
	const struct guest_memory *mem; /* shared; outlives the datapath */
	struct loop *loop;		/* outlives the datapath */
	const struct logger *log;	/* outlives the datapath */
	const struct opener *opener;	/* of the socket, outlives the datapath; or NULL */
	const char *path;		/* of the socket; copied */
	bool server;			/* listen there, instead of connecting */
	bool has_fd; /* the only connection that there is: @fd, which is copied; */
	int fd;	     /* @path is what messages call it */
	unsigned int queue_pairs;
	uint16_t queue_size;   /* of the largest ring */
	uint16_t mtu;	       /* 0: none is offered to the driver */
	uint64_t assumed;      /* features that a back-end is taken to have that wasn't met yet */
	unsigned int reply_ms; /* for each answer; 0: 3 seconds to stop a ring, else 10 or more */
	unsigned int wait_ms;  /* how long the creation waits */
	bool required;	       /* the creation fails without a back-end that answers */
};

/*
 * Connect, and wait up to @config->wait_ms for a back-end that is there to say what it can do; or
 * listen, and wait so long for one that connects. Unless one is required it is no error if there is
 * none as yet, or if it does wrong. *@err: a path that can't be, a socket that can't be listened
 * on, private memory; a back-end that is there and can't serve a device at all.
 *
 * features() is what the back-end has that was first met; before that, what every back-end has
 * (net_features_common), and @config->assumed. One that comes later and lacks what the driver has
 * accepted is refused.
 *
 * By the thread that runs the loop, or before it runs.
 */
int vhost_user_create(const struct vhost_user_config *config, struct datapath **dp,
		      struct error *err);

#endif
