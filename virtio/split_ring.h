/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue (virtio 1.3, section 2.7), with indirect descriptors and
 * event index.
 *
 * A ring belongs to the one thread that serves it. The driver on the other side is not trusted:
 * each index and descriptor is copied once, checked, then used.
 */
#ifndef VIRTIO_SPLIT_RING_H
#define VIRTIO_SPLIT_RING_H

#include <stdbool.h>

#include "virtio/ring.h"

struct split_ring {
	const struct guest_memory *mem;
	struct ring_state state;
	const char *broken; /* why the ring can't be served any more (static), or NULL */
	bool event_idx;	    /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;	    /* VIRTIO_F_INDIRECT_DESC was negotiated */

	/* The three areas, translated once: guest memory doesn't move. */
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	uint16_t avail_idx;   /* the driver's index as last read */
	uint16_t pushed;      /* used entries written but not published */
	uint16_t signalled;   /* next_used at the last decision on an interrupt */
	bool signalled_valid; /* false until the first one */
};

/*
 * Begin to serve the ring that @state describes, under the negotiated @features. -EINVAL if its
 * areas are not aligned or not in memory, or the size is no power of two; ring->broken says which.
 */
int split_ring_start(struct split_ring *ring, const struct guest_memory *mem,
		     const struct ring_state *state, uint64_t features);

/*
 * Take the next chain: 1 with its pieces in @iov (device-readable ones first), 0 if the driver has
 * made none available, -ENOBUFS if it has more than @max_iov pieces (it stays available; a chain
 * never has more than the ring has descriptors), -EPROTO if the driver broke the rules (then
 * ring->broken says how, and every later call fails).
 */
int split_ring_pop(struct split_ring *ring, struct ring_chain *chain, struct iovec *iov,
		   unsigned int max_iov);

/* Give back chains that were taken but not used: @position is that of the first of them. */
void split_ring_rewind(struct split_ring *ring, uint16_t position);

/* Return the chain @id with @written bytes put into it. The driver sees it after publish. */
void split_ring_push(struct split_ring *ring, uint16_t id, uint32_t written);

/* Let the driver see what was pushed. True if it wants to be interrupted for that. */
bool split_ring_publish(struct split_ring *ring);

/*
 * Ask the driver for a kick when it makes the next chain available. True if it has made one
 * available in the meantime, so that there may be no kick: go on serving.
 */
bool split_ring_enable_kicks(struct split_ring *ring);

/* Tell the driver that kicks are not needed. A hint: some may come all the same. */
void split_ring_disable_kicks(struct split_ring *ring);

#endif
