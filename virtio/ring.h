/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a virtqueue, in whichever format the driver chose: split (virtio 1.3,
 * section 2.7) or packed (2.8). Datapaths serve rings by these functions and don't know which.
 *
 * A ring belongs to the one thread that serves it. The driver on the other side is not trusted:
 * each index and descriptor is copied once, checked, then used.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/core/memory.h"

enum {
	RING_SIZE_MAX = 32768, /* descriptors, of both formats (2.7 and 2.8.10.1) */
};

/*
 * Where a ring is and how far it has been served: all that a datapath needs to go on with it, and
 * what it gives back when it stops. Host byte order.
 *
 * The two positions are what vhost calls a ring's base. Split: a free-running index, of the
 * available and of the used ring. Packed: a descriptor's index in bits 0 to 14, and in bit 15 the
 * wrap counter that goes with it (2.8.1).
 */
struct ring_state {
	uint16_t size;	     /* in descriptors */
	gpa_t desc;	     /* Descriptor Area: descriptor table; descriptor ring */
	gpa_t driver;	     /* Driver Area: available ring; driver event suppression */
	gpa_t device;	     /* Device Area: used ring; device event suppression */
	uint16_t next_avail; /* the first available chain that was not taken yet */
	uint16_t next_used;  /* where the next used chain is written */
};

/* Put the positions of @state where those of a new ring are. @features: negotiated. */
void ring_state_rewind(struct ring_state *state, uint64_t features);

/*
 * Whoever served the ring is gone without a word: find out from the ring itself where it stands,
 * and put that into the positions of @state. In order is how it was served (what the driver has
 * got back is a prefix of what it made available): what was taken and not returned is served again,
 * what was returned is not. Nobody serves the ring, but its driver may go on with it. -EINVAL if
 * its areas are wrong; then nothing has changed.
 *
 * What a packed ring shows of a batch that was half returned can't be served again: with @finish
 * the driver gets all of it. Without, the next server must know by itself what the batch was (of
 * vhost-user's inflight region), and the ring stands before it.
 *
 * Split rings, and packed ones whose drivers use one descriptor a chain or indirect tables, as
 * those do that have negotiated VIRTIO_F_INDIRECT_DESC, are recovered exactly. Lists of descriptors
 * in a packed ring tell less: where the ring is full, or a batch was half returned, it is a guess.
 */
int ring_state_recover(struct ring_state *state, const struct guest_memory *mem, uint64_t features,
		       bool finish);

/* One chain of descriptors, copied, checked and translated: it can't change any more. */
struct ring_chain {
	uint16_t id;	    /* what the driver knows the chain by */
	uint16_t position;  /* the ring's next_avail before this chain */
	uint16_t slots;	    /* how many descriptors of a packed ring it takes up */
	unsigned int n_out; /* device-readable pieces, first in the iovec array */
	unsigned int n_in;  /* device-writable pieces, after them */
	size_t out_len;	    /* bytes in them */
	size_t in_len;
};

struct ring_format;

struct ring {
	const struct ring_format *format;
	const struct guest_memory *mem;
	struct ring_state state; /* what was pushed but not shown is not in next_used yet */
	const char *broken;	 /* why the ring can't be served any more (static), or NULL */
	bool event_idx;		 /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;		 /* VIRTIO_F_INDIRECT_DESC was negotiated */

	/* The three areas, translated once: guest memory doesn't move. */
	void *desc;
	void *driver;
	void *device;

	unsigned int pushed; /* chains that were pushed but not shown */

	/* Interrupts. */
	bool settled;		/* since the start */
	uint16_t settled_at;	/* next_used then */
	unsigned int unsettled; /* chains that were shown since then */

	/* The format's own. */
	uint16_t avail_idx;   /* split: the driver's index as last read */
	uint16_t used_at;     /* packed: next_used with what was pushed */
	uint16_t first_flags; /* packed: flags of the first that was pushed, not written yet */
};

/*
 * Begin to serve the ring that @state describes, under the negotiated @features. -EINVAL if its
 * areas are not aligned or not in memory, or the size is not one that the format has; then
 * ring->broken says which, and ring_pop() fails.
 */
int ring_start(struct ring *ring, const struct guest_memory *mem, const struct ring_state *state,
	       uint64_t features);

/*
 * Take the next chain: 1 with its pieces in @iov (device-readable ones first), 0 if the driver has
 * made none available, -ENOBUFS if it has more than @max_iov pieces (it stays available; a chain
 * never has more than the ring has descriptors), -EPROTO if the driver broke the rules (then
 * ring->broken says how, and every later call fails).
 */
int ring_pop(struct ring *ring, struct ring_chain *chain, struct iovec *iov, unsigned int max_iov);

/*
 * Give back chains that were taken but not pushed: @position is that of the first of them, and all
 * that were taken after it are given back too.
 */
void ring_rewind(struct ring *ring, uint16_t position);

/*
 * Return @chain with @written bytes put into it. The driver sees it after ring_show(). Chains
 * return in the order in which they were taken: so VIRTIO_F_IN_ORDER is always kept (2.9), and a
 * ring that stops can be gone on with from its two positions.
 */
void ring_push(struct ring *ring, const struct ring_chain *chain, uint32_t written);

/* Let the driver see what was pushed. */
void ring_show(struct ring *ring);

/*
 * Whether the driver wants to be interrupted for what it was shown and that is not settled: at most
 * a whole ring. It may have found that by itself, and not want it any more. With event index the
 * first time counts as passing any event: what another datapath showed before the start may have
 * passed it, and that one may have died before it could say so.
 */
bool ring_wants_interrupt(const struct ring *ring);

/* It is interrupted for that, or doesn't want to be. */
void ring_settle(struct ring *ring);

/* All three: whether it is to be interrupted. */
bool ring_publish(struct ring *ring);

/*
 * Ask the driver for a kick when it makes the next chain available. True if it has made one
 * available in the meantime, so that there may be no kick: go on serving.
 */
bool ring_enable_kicks(struct ring *ring);

/* Tell the driver that kicks are not needed. A hint: some may come all the same. */
void ring_disable_kicks(struct ring *ring);

#endif
