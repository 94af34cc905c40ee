/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a split virtqueue for tests (virtio 1.3, section 2.7). What the device
 * shares is accessed with atomics, as a driver on another CPU would. Indices are host byte order;
 * the tests run on little-endian machines only.
 */
#ifndef TESTS_UNIT_DRIVER_H
#define TESTS_UNIT_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio/ring.h"
#include "vmm/core/memory.h"

struct driver_ring {
	uint16_t size;
	bool event_idx;
	gpa_t at; /* of the descriptor area; the others follow it */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx; /* the next entry to fill */
	uint16_t exposed;   /* what the device was shown */
	uint16_t last_used; /* the next entry to look at */
};

/* How much memory a ring takes, rounded up to where the next one may begin. */
static inline uint64_t driver_ring_bytes(uint16_t size)
{
	return (26ULL * size + 12 + 4095) / 4096 * 4096;
}

/* An empty ring at @at whose indices begin at @start. The memory is there, or this crashes. */
static inline void driver_ring_init(struct driver_ring *ring, const struct guest_memory *mem,
				    gpa_t at, uint16_t size, bool event_idx, uint16_t start)
{
	char *host = memory_translate(mem, at, driver_ring_bytes(size));

	memset(host, 0, driver_ring_bytes(size));
	*ring = (struct driver_ring){
		.size = size,
		.event_idx = event_idx,
		.at = at,
		.desc = (struct vring_desc *)host,
		.used = (struct vring_used *)(host + 16ULL * size),
		/* The device area comes before the driver area: it needs the stricter alignment. */
		.avail = (struct vring_avail *)(host + 24ULL * size + 8),
		.avail_idx = start,
		.exposed = start,
		.last_used = start,
	};
	ring->avail->idx = start;
	ring->used->idx = start;
}

static inline struct ring_state driver_ring_state(const struct driver_ring *ring)
{
	return (struct ring_state){
		.size = ring->size,
		.desc = ring->at,
		.device = gpa_add(ring->at, 16ULL * ring->size),
		.driver = gpa_add(ring->at, 24ULL * ring->size + 8),
		.next_avail = ring->exposed,
		.next_used = ring->last_used,
	};
}

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

/* Put the chain that begins at descriptor @head into the available ring, unseen as yet. */
static inline void driver_add(struct driver_ring *ring, uint16_t head)
{
	__atomic_store_n(&ring->avail->ring[ring->avail_idx++ % ring->size], head,
			 __ATOMIC_RELAXED);
}

/* Let the device see what was added. True if it wants a kick for that (2.7.10). */
static inline bool driver_expose(struct driver_ring *ring)
{
	uint16_t before = ring->exposed;

	ring->exposed = ring->avail_idx;
	__atomic_store_n(&ring->avail->idx, ring->avail_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->event_idx) {
		const uint16_t *event = (const uint16_t *)&ring->used->ring[ring->size];

		return vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), ring->exposed,
					before);
	}
	return !(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
}

/* Take the next used chain: false if there is none. */
static inline bool driver_used(struct driver_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct vring_used_elem *elem = &ring->used->ring[ring->last_used % ring->size];

	if (__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) == ring->last_used)
		return false;
	*id = elem->id;
	*len = elem->len;
	ring->last_used++;
	return true;
}

static inline void driver_set_used_event(struct driver_ring *ring, uint16_t event)
{
	__atomic_store_n(&ring->avail->ring[ring->size], event, __ATOMIC_RELAXED);
}

/* Ask for an interrupt when the next chain is used. True if one was used in the meantime. */
static inline bool driver_enable_interrupts(struct driver_ring *ring)
{
	if (ring->event_idx)
		driver_set_used_event(ring, ring->last_used);
	else
		__atomic_store_n(&ring->avail->flags, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->used->idx, __ATOMIC_RELAXED) != ring->last_used;
}

/* With event index there is nothing to do: the event lies behind. */
static inline void driver_disable_interrupts(struct driver_ring *ring)
{
	if (!ring->event_idx)
		__atomic_store_n(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

#endif
