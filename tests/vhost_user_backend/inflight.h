/* SPDX-License-Identifier: Apache-2.0 */
/* "Inflight I/O tracking": what was taken from the rings and not returned, in shared memory. */
#ifndef VHOST_USER_BACKEND_INFLIGHT_H
#define VHOST_USER_BACKEND_INFLIGHT_H

#include "virtio/ring.h"

struct inflight {
	uint8_t *map; /* NULL: nothing is tracked */
	size_t map_len;
	size_t offset; /* of the first queue in it */
	uint16_t num_queues, queue_size;
	bool packed;
	uint64_t counter; /* the next one; greater than any in the region */
};

/* Bytes for a queue of @size. */
size_t inflight_bytes(bool packed, uint16_t size);

/*
 * Ring @index starts: check what its region says against the ring, and put into the positions where
 * it has to go on. Violations: a region that is not this ring's.
 */
void inflight_restore(struct inflight *inflight, unsigned int index, struct ring *ring);

/*
 * @chains are taken, are about to be published (and are pushed), are published. All of what one
 * call takes is published by the next.
 */
void inflight_take(struct inflight *inflight, unsigned int index, const struct ring *ring,
		   const struct ring_chain *chains, unsigned int n);
void inflight_return(struct inflight *inflight, unsigned int index, const struct ring *ring,
		     const struct ring_chain *chains, unsigned int n);
void inflight_published(struct inflight *inflight, unsigned int index, const struct ring *ring,
			const struct ring_chain *chains, unsigned int n);

/* @chain, the only one that is taken, is given back to the ring. */
void inflight_untake(struct inflight *inflight, unsigned int index, const struct ring_chain *chain);

#endif
