/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a virtqueue for tests, split (virtio 1.3, section 2.7) or packed (2.8). What
 * the device shares is accessed with atomics, as a driver on another CPU would. Indices are host
 * byte order; the tests run on little-endian machines only.
 *
 * A test either makes up each descriptor itself, right or wrong (driver_fill_desc() and
 * driver_add() for split rings, driver_put() for packed ones), or has whole chains made
 * (driver_add_chain(), driver_add_indirect()), for which ids and descriptors are kept account of.
 */
#ifndef TESTS_UNIT_DRIVER_H
#define TESTS_UNIT_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio/ring.h"
#include "vmm/core/memory.h"

enum {
	DRIVER_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
	DRIVER_USED = 1 << VRING_PACKED_DESC_F_USED,
	DRIVER_WRAP = 1 << VRING_PACKED_EVENT_F_WRAP_CTR, /* in a packed ring's positions */
};

struct driver_ring {
	bool packed;
	uint16_t size;
	bool event_idx;
	gpa_t at; /* of the descriptor area; the others follow it */

	/* Split. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	/* Packed. */
	struct vring_packed_desc *ring;
	struct vring_packed_desc_event *driver_event;
	struct vring_packed_desc_event *device_event;
	uint16_t first_flags; /* of the first descriptor that was put and not exposed */
	uint16_t open;	      /* descriptors of the chain that has no end yet */

	/* Positions as struct ring_state has them. */
	uint16_t avail_idx; /* the next entry to fill */
	uint16_t exposed;   /* what the device was shown */
	uint16_t last_used; /* the next entry to look at */

	/*
	 * By id: how many descriptors the chain takes up; 0: the id is not in use, or the test does
	 * without these accounts.
	 */
	uint16_t slots[RING_SIZE_MAX];
	uint16_t free_ids[RING_SIZE_MAX]; /* a stack. Split: these are the free descriptors, too */
	uint16_t n_free_ids;
	uint16_t n_free; /* descriptors */
};

/* A piece of a buffer. */
struct driver_piece {
	uint64_t addr;
	uint32_t len;
	bool in; /* device-writable */
};

/* How much memory a ring takes, of either format, rounded up to where the next one may begin. */
static inline uint64_t driver_ring_bytes(uint16_t size)
{
	return (26ULL * size + 12 + 4095) / 4096 * 4096;
}

/* Where a packed ring's other two areas begin: each has a cache line of its own. */
static inline uint64_t driver_packed_events(uint16_t size)
{
	return (16ULL * size + 63) / 64 * 64;
}

static inline void *driver_ring_clear(struct driver_ring *ring, const struct guest_memory *mem,
				      gpa_t at, uint16_t size, bool event_idx, uint16_t start)
{
	void *host = memory_translate(mem, at, driver_ring_bytes(size));

	memset(host, 0, driver_ring_bytes(size));
	memset(ring, 0, sizeof(*ring));
	ring->size = size;
	ring->event_idx = event_idx;
	ring->at = at;
	ring->avail_idx = ring->exposed = ring->last_used = start;
	for (uint16_t i = 0; i < size; i++)
		ring->free_ids[i] = (uint16_t)(size - 1 - i);
	ring->n_free = ring->n_free_ids = size;
	return host;
}

/* An empty split ring at @at whose indices begin at @start. The memory is there, or this crashes.
 */
static inline void driver_ring_init(struct driver_ring *ring, const struct guest_memory *mem,
				    gpa_t at, uint16_t size, bool event_idx, uint16_t start)
{
	char *host = driver_ring_clear(ring, mem, at, size, event_idx, start);

	ring->desc = (struct vring_desc *)host;
	ring->used = (struct vring_used *)(host + 16ULL * size);
	/* The device area comes before the driver area: it needs the stricter alignment. */
	ring->avail = (struct vring_avail *)(host + 24ULL * size + 8);
	ring->avail->idx = start;
	ring->used->idx = start;
}

/*
 * An empty packed ring, likewise. @start: an index and, in bit 15, the wrap counter. What lies
 * before it was used by this lap, what lies behind it by the last one.
 */
static inline void driver_packed_init(struct driver_ring *ring, const struct guest_memory *mem,
				      gpa_t at, uint16_t size, bool event_idx, uint16_t start)
{
	char *host = driver_ring_clear(ring, mem, at, size, event_idx, start);

	ring->packed = true;
	ring->ring = (struct vring_packed_desc *)host;
	ring->driver_event = (void *)(host + driver_packed_events(size));
	ring->device_event = (void *)(host + driver_packed_events(size) + 64);
	for (uint16_t i = 0; i < size; i++) {
		if ((i < (start & ~DRIVER_WRAP)) == !!(start & DRIVER_WRAP))
			ring->ring[i].flags = DRIVER_AVAIL | DRIVER_USED;
	}
}

static inline struct ring_state driver_ring_state(const struct driver_ring *ring)
{
	uint64_t size = ring->size;
	uint64_t events = driver_packed_events(ring->size);

	return (struct ring_state){
		.size = ring->size,
		.desc = ring->at,
		.driver = gpa_add(ring->at, ring->packed ? events : 24 * size + 8),
		.device = gpa_add(ring->at, ring->packed ? events + 64 : 16 * size),
		.next_avail = ring->exposed,
		.next_used = ring->last_used,
	};
}

/* --- making chains available --- */

static inline void driver_fill_desc(struct vring_desc *desc, uint64_t addr, uint32_t len,
				    unsigned int flags, unsigned int next)
{
	*desc = (struct vring_desc){
		.addr = addr,
		.len = len,
		.flags = (uint16_t)flags,
		.next = (uint16_t)next,
	};
}

/* Split: put the chain that begins at descriptor @head into the available ring, unseen as yet. */
static inline void driver_add(struct driver_ring *ring, uint16_t head)
{
	__atomic_store_n(&ring->avail->ring[ring->avail_idx++ % ring->size], head,
			 __ATOMIC_RELAXED);
}

/* Packed: the position @n descriptors after @position. */
static inline uint16_t driver_advance(const struct driver_ring *ring, uint16_t position,
				      unsigned int n)
{
	for (; n; n--) {
		if ((position & ~DRIVER_WRAP) == ring->size - 1)
			position = ~position & DRIVER_WRAP;
		else
			position++;
	}
	return position;
}

/*
 * Packed: put a descriptor where the next one belongs, unseen as yet. @flags without AVAIL and
 * USED. A chain ends with the first one that has no NEXT, whose @id is the chain's.
 */
static inline void driver_put(struct driver_ring *ring, uint64_t addr, uint32_t len,
			      unsigned int flags, unsigned int id)
{
	struct vring_packed_desc *desc = &ring->ring[ring->avail_idx & ~DRIVER_WRAP];

	flags |= ring->avail_idx & DRIVER_WRAP ? DRIVER_AVAIL : DRIVER_USED;
	desc->addr = addr;
	desc->len = len;
	desc->id = (uint16_t)id;
	/* 2.8.6, and the same for several chains: the device goes by order. */
	if (ring->avail_idx == ring->exposed)
		ring->first_flags = (uint16_t)flags;
	else
		__atomic_store_n(&desc->flags, (uint16_t)flags, __ATOMIC_RELAXED);
	ring->avail_idx = driver_advance(ring, ring->avail_idx, 1);
	ring->open++;
	ring->n_free--;
	if (!(flags & VRING_DESC_F_NEXT)) {
		ring->slots[id] = ring->open;
		ring->open = 0;
	}
}

/* One descriptor of the chain @id. Split: it goes to *@at, the one after it too. */
static inline void driver_add_desc(struct driver_ring *ring, uint64_t addr, uint32_t len,
				   unsigned int flags, bool more, uint16_t id, uint16_t *at)
{
	uint16_t next;

	flags |= more ? VRING_DESC_F_NEXT : 0;
	if (ring->packed) {
		driver_put(ring, addr, len, flags, more ? 0 : id);
		return;
	}
	next = more ? ring->free_ids[--ring->n_free_ids] : 0;
	ring->n_free--;
	driver_fill_desc(&ring->desc[*at], addr, len, flags, next);
	*at = next;
}

/*
 * Make a chain of @n pieces, unseen as yet: its id, or -1 if there are not that many descriptors.
 * The device-readable ones come first.
 */
static inline int driver_add_chain(struct driver_ring *ring, const struct driver_piece *pieces,
				   unsigned int n)
{
	uint16_t id, at;

	if (n > ring->n_free)
		return -1;
	id = at = ring->free_ids[--ring->n_free_ids];
	for (unsigned int i = 0; i < n; i++)
		driver_add_desc(ring, pieces[i].addr, pieces[i].len,
				pieces[i].in ? VRING_DESC_F_WRITE : 0, i + 1 < n, id, &at);
	ring->slots[id] = (uint16_t)n;
	if (!ring->packed)
		driver_add(ring, id);
	return id;
}

/* The same in an indirect table: @table, which the device finds at @table_at. */
static inline int driver_add_indirect(struct driver_ring *ring, const struct driver_piece *pieces,
				      unsigned int n, void *table, gpa_t table_at)
{
	uint16_t id, at;

	if (!ring->n_free)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int flags = pieces[i].in ? VRING_DESC_F_WRITE : 0;
		struct vring_packed_desc packed = {
			.addr = pieces[i].addr,
			.len = pieces[i].len,
			.flags = (uint16_t)flags,
		};
		struct vring_desc split;

		driver_fill_desc(&split, pieces[i].addr, pieces[i].len,
				 flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0), i + 1);
		memcpy((char *)table + i * sizeof(split),
		       ring->packed ? (const void *)&packed : &split, sizeof(split));
	}
	id = at = ring->free_ids[--ring->n_free_ids];
	driver_add_desc(ring, table_at.value, n * (uint32_t)sizeof(struct vring_desc),
			VRING_DESC_F_INDIRECT, false, id, &at);
	ring->slots[id] = 1;
	if (!ring->packed)
		driver_add(ring, id);
	return id;
}

/* Whether the device asked for a kick at one of the descriptors from @from up to before @to. */
static inline bool driver_packed_kick(const struct driver_ring *ring, uint16_t from, uint16_t to)
{
	uint16_t flags = __atomic_load_n(&ring->device_event->flags, __ATOMIC_ACQUIRE);
	uint16_t event = __atomic_load_n(&ring->device_event->off_wrap, __ATOMIC_RELAXED);

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	for (; from != to; from = driver_advance(ring, from, 1)) {
		if (from == event)
			return true;
	}
	return false;
}

/* Let the device see what was added. True if it wants a kick for that (2.7.10, 2.8.10). */
static inline bool driver_expose(struct driver_ring *ring)
{
	uint16_t before = ring->exposed;

	ring->exposed = ring->avail_idx;
	if (ring->packed) {
		if (before == ring->exposed)
			return false;
		__atomic_store_n(&ring->ring[before & ~DRIVER_WRAP].flags, ring->first_flags,
				 __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return driver_packed_kick(ring, before, ring->exposed);
	}
	__atomic_store_n(&ring->avail->idx, ring->avail_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->event_idx) {
		const uint16_t *event = (const uint16_t *)&ring->used->ring[ring->size];

		return vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), ring->exposed,
					before);
	}
	return !(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
}

/* --- taking back what was used --- */

static inline bool driver_has_used(const struct driver_ring *ring)
{
	if (ring->packed) {
		uint16_t flags = __atomic_load_n(&ring->ring[ring->last_used & ~DRIVER_WRAP].flags,
						 __ATOMIC_ACQUIRE);
		bool wrap = ring->last_used & DRIVER_WRAP;

		return !!(flags & DRIVER_AVAIL) == wrap && !!(flags & DRIVER_USED) == wrap;
	}
	return __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) != ring->last_used;
}

/* A chain came back: its descriptors and its id are free, if it was not driver_put() by itself. */
static inline void driver_free(struct driver_ring *ring, uint16_t id)
{
	uint16_t n = ring->slots[id];
	uint16_t n_ids = ring->packed ? !!n : n;
	uint16_t at = id;

	ring->slots[id] = 0;
	ring->n_free = (uint16_t)(ring->n_free + n);
	for (; n_ids && ring->n_free_ids < ring->size; n_ids--) {
		ring->free_ids[ring->n_free_ids++] = at;
		at = ring->packed ? 0 : ring->desc[at].next;
	}
}

/* Take the next used chain: false if there is none. */
static inline bool driver_used(struct driver_ring *ring, uint32_t *id, uint32_t *len)
{
	if (!driver_has_used(ring))
		return false;
	if (ring->packed) {
		const struct vring_packed_desc *desc = &ring->ring[ring->last_used & ~DRIVER_WRAP];

		*id = desc->id;
		*len = desc->len;
	} else {
		*id = ring->used->ring[ring->last_used % ring->size].id;
		*len = ring->used->ring[ring->last_used % ring->size].len;
	}
	if (ring->packed)
		ring->last_used = driver_advance(ring, ring->last_used,
						 *id < ring->size ? ring->slots[*id] : 1);
	else
		ring->last_used++;
	if (*id < ring->size)
		driver_free(ring, (uint16_t)*id);
	return true;
}

/* Ask for an interrupt after the used entry (packed: the descriptor) @event. */
static inline void driver_set_used_event(struct driver_ring *ring, uint16_t event)
{
	if (ring->packed) {
		__atomic_store_n(&ring->driver_event->off_wrap, event, __ATOMIC_RELAXED);
		__atomic_store_n(&ring->driver_event->flags, VRING_PACKED_EVENT_FLAG_DESC,
				 __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&ring->avail->ring[ring->size], event, __ATOMIC_RELAXED);
	}
}

/* Ask for an interrupt when the next chain is used. True if one was used in the meantime. */
static inline bool driver_enable_interrupts(struct driver_ring *ring)
{
	if (ring->event_idx)
		driver_set_used_event(ring, ring->last_used);
	else if (ring->packed)
		__atomic_store_n(&ring->driver_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE,
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&ring->avail->flags, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return driver_has_used(ring);
}

/* Split with event index: there is nothing to do, the event lies behind. */
static inline void driver_disable_interrupts(struct driver_ring *ring)
{
	if (ring->packed)
		__atomic_store_n(&ring->driver_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE,
				 __ATOMIC_RELAXED);
	else if (!ring->event_idx)
		__atomic_store_n(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

#endif
