/* SPDX-License-Identifier: Apache-2.0 */
/* The packed ring (virtio 1.3, 2.8). Drivers use virtqueue.h; tests of bad rings look in here. */
#ifndef GUEST_LIB_PACKED_RING_H
#define GUEST_LIB_PACKED_RING_H

#include <stdbool.h>
#include <stdint.h>

struct virtio_queue_areas;
struct ring_ops;

struct packed_descriptor { /* 2.8.13 */
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

enum {
	PACKED_NEXT = 1 << 0,
	PACKED_WRITE = 1 << 1,
	PACKED_INDIRECT = 1 << 2,
	PACKED_AVAIL = 1 << 7,
	PACKED_USED = 1 << 15,
};

struct packed_event {	      /* 2.8.14 */
	uint16_t offset_wrap; /* bit 15 is the wrap counter */
	uint16_t flags;
};

enum {
	PACKED_EVENT_ENABLE = 0,
	PACKED_EVENT_DISABLE = 1,
	PACKED_EVENT_DESCRIPTOR = 2, /* with EVENT_IDX */
	PACKED_WRAP = 1 << 15,
};

_Static_assert(sizeof(struct packed_descriptor) == 16, "virtio 1.3, 2.8.13");
_Static_assert(sizeof(struct packed_event) == 4, "virtio 1.3, 2.8.14");

enum {
	PACKED_INDIRECT_MAX = 40, /* segments of a buffer, with indirect descriptors */
};

/* Where one side is in the ring. */
struct packed_position {
	uint16_t index;
	bool wrap;
};

struct packed_ring {
	volatile struct packed_descriptor *descriptors;
	volatile struct packed_event *driver_event;
	volatile struct packed_event *device_event;
	struct packed_descriptor (*indirect)[PACKED_INDIRECT_MAX]; /* by ID; NULL: not negotiated */
	uint16_t size;
	bool event_index;
	struct packed_position next; /* for the next buffer */
	struct packed_position used; /* where the next used descriptor will be */

	/* What add() has not shown yet: the flags of the first descriptor hold all of it back. */
	uint16_t n_hidden; /* descriptors */
	uint16_t hidden_index;
	uint16_t hidden_flags;

	uint16_t *free_ids; /* a stack */
	uint16_t n_free_ids;
	uint16_t *lengths; /* of each buffer, in descriptors of the ring, by ID */
};

extern const struct ring_ops packed_ring_ops;

void packed_ring_init(struct packed_ring *ring, uint16_t size, bool event_index, bool indirect);
void packed_ring_areas(const struct packed_ring *ring, struct virtio_queue_areas *areas);

/* The AVAIL and USED bits of a descriptor that is made available at @position (2.8.1). */
uint16_t packed_available_flags(struct packed_position position);

/* @n descriptors further, at most a round. */
struct packed_position packed_advance(const struct packed_ring *ring,
				      struct packed_position position, unsigned int n);

#endif
