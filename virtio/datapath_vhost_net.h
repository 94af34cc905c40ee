/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-net datapath: the kernel serves the rings, between guest memory and a tap
 * (<linux/vhost.h>; drivers/vhost/net.c). One open /dev/vhost-net for each pair of rings.
 */
#ifndef VIRTIO_DATAPATH_VHOST_NET_H
#define VIRTIO_DATAPATH_VHOST_NET_H

#include <stdint.h>

struct datapath;
struct error;
struct guest_memory;
struct logger;
struct loop;
struct net_backend;
struct opener;

struct vhost_net_config {
	const char *name;		/* for messages; copied */
	const struct guest_memory *mem; /* outlives the datapath */
	struct loop *loop;		/* outlives the datapath */
	const struct logger *log;	/* outlives the datapath */
	const struct opener *opener;	/* of the device; or NULL */
	/* A tap; a reference is taken over, on failure too. */
	struct net_backend *backend;
	unsigned int queue_pairs; /* as many as the backend has queues */
	uint32_t poll_us;	  /* how long the kernel polls before it sleeps; 0: not at all */
};

/*
 * Open /dev/vhost-net: a descriptor, the caller's, or a negative errno. The error tells apart: no
 * such device, no permission.
 */
int vhost_net_open(struct error *err);

/*
 * The error tells apart what vhost_net_open() does, and too old a kernel. By the thread that
 * runs the loop, or before it runs.
 */
int vhost_net_create(const struct vhost_net_config *config, struct datapath **dp,
		     struct error *err);

#endif
