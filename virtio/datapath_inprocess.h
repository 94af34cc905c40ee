/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-process datapath of virtio-net: one thread a ring moves packets between guest buffers and
 * a net backend, with no copy in between; only a packet that receive-side scaling may take to
 * another ring than the one whose thread received it is copied. Such a packet is lost if there are
 * no buffers for it; all others wait in the backend.
 *
 * A packet that waits for the driver to bring more buffers when its ring stops is kept for the
 * ring's next start here, until set_features(), or until offloads or the link are switched off.
 */
#ifndef VIRTIO_DATAPATH_INPROCESS_H
#define VIRTIO_DATAPATH_INPROCESS_H

#include "virtio/datapath.h"

struct net_backend;
struct thread_filters;

enum {
	INPROCESS_QUEUE_PAIRS_MAX = 16,
};

struct inprocess_config {
	const char *name;		/* for thread names; copied */
	unsigned int queue_pairs;	/* of the device and of the backend, at most the above */
	const struct guest_memory *mem; /* outlives the datapath */
	struct net_backend *backend;	/* taken over, also on failure */
	uint16_t mtu;			/* the device's, if it offers VIRTIO_NET_F_MTU */
	const struct thread_filters
		*thread_filters; /* of the rings' threads, or NULL; outlive it, too */
	/*
	 * The backend has gone, for good: nothing will come from it any more. From a ring's thread,
	 * more than once; returns at once. NULL: nobody wants to know.
	 */
	void (*backend_gone)(void *opaque);
	void *opaque;
};

/* NULL if there is no memory. */
struct datapath *inprocess_create(const struct inprocess_config *config);

#endif
