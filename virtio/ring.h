/* SPDX-License-Identifier: Apache-2.0 */
/* What every kind of virtqueue has in common, and what datapaths hand each other. */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/core/memory.h"

/*
 * Where a ring is and how far it has been served: all that a datapath needs to go on with it, and
 * what it gives back when it stops (virtio 1.3, sections 2.6 and 2.7). Host byte order.
 */
struct ring_state {
	uint16_t size;	     /* in descriptors */
	gpa_t desc;	     /* Descriptor Area */
	gpa_t driver;	     /* Driver Area: the available ring */
	gpa_t device;	     /* Device Area: the used ring */
	uint16_t next_avail; /* index of the first available entry that was not taken yet */
	uint16_t next_used;  /* index of the next used entry to write */
};

/* One chain of descriptors, copied, checked and translated: it can't change any more. */
struct ring_chain {
	uint16_t id;	    /* what the driver knows the chain by */
	uint16_t position;  /* the ring's next_avail before this chain */
	unsigned int n_out; /* device-readable pieces, first in the iovec array */
	unsigned int n_in;  /* device-writable pieces, after them */
	size_t out_len;	    /* bytes in them */
	size_t in_len;
};

#endif
