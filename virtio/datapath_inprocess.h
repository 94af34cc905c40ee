/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-process datapath of virtio-net: one thread a ring moves packets between guest buffers and
 * a net backend, with no copy in between. A packet that waits for the driver to bring more buffers
 * when its ring stops is lost.
 */
#ifndef VIRTIO_DATAPATH_INPROCESS_H
#define VIRTIO_DATAPATH_INPROCESS_H

#include "virtio/datapath.h"

struct net_backend;

enum {
	INPROCESS_RING_SIZE_MAX = 256, /* start_ring: -EINVAL for more */
};

struct inprocess_config {
	const char *name;		/* for thread names; copied */
	unsigned int queue_pairs;	/* of the device and of the backend */
	const struct guest_memory *mem; /* outlives the datapath */
	struct net_backend *backend;	/* taken over, also on failure */
};

/* NULL if there is no memory. */
struct datapath *inprocess_create(const struct inprocess_config *config);

#endif
