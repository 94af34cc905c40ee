/* SPDX-License-Identifier: Apache-2.0 */
/* The split ring (virtio 1.3, 2.7). Drivers use virtqueue.h; tests of bad rings look in here. */
#ifndef GUEST_LIB_SPLIT_RING_H
#define GUEST_LIB_SPLIT_RING_H

#include <stdbool.h>
#include <stdint.h>

struct virtio_queue_areas;
struct ring_ops;

struct split_descriptor { /* 2.7.5 */
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

enum {
	SPLIT_NEXT = 1,
	SPLIT_WRITE = 2,
	SPLIT_INDIRECT = 4,
};

struct split_available { /* 2.7.6; after the ring: used_event */
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct split_used_element {
	uint32_t id;
	uint32_t len;
};

struct split_used { /* 2.7.8; after the ring: avail_event */
	uint16_t flags;
	uint16_t idx;
	struct split_used_element ring[];
};

enum {
	SPLIT_NO_INTERRUPT = 1, /* split_available.flags */
	SPLIT_NO_NOTIFY = 1,	/* split_used.flags */
};

_Static_assert(sizeof(struct split_descriptor) == 16, "virtio 1.3, 2.7.5");
_Static_assert(sizeof(struct split_used_element) == 8, "virtio 1.3, 2.7.8");

enum {
	SPLIT_INDIRECT_MAX = 40, /* segments of a buffer, with indirect descriptors */
};

struct split_ring {
	struct split_descriptor *descriptors;
	volatile struct split_available *available;
	volatile struct split_used *used;
	volatile uint16_t *used_event;				 /* driver -> device */
	volatile uint16_t *avail_event;				 /* device -> driver */
	struct split_descriptor (*indirect)[SPLIT_INDIRECT_MAX]; /* by head; NULL: not negotiated */
	uint16_t size;
	bool event_index;
	uint16_t free; /* first of the free descriptors, which are chained by next */
	uint16_t free_last;
	uint16_t available_idx; /* including what is not published yet */
	uint16_t used_idx;	/* of the next one to take */
};

extern const struct ring_ops split_ring_ops;

void split_ring_init(struct split_ring *ring, uint16_t size, bool event_index, bool indirect);
void split_ring_areas(const struct split_ring *ring, struct virtio_queue_areas *areas);

#endif
