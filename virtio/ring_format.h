/* SPDX-License-Identifier: Apache-2.0 */
/* What a ring format implements, and what the two share. For ring.c and the formats only. */
#ifndef VIRTIO_RING_FORMAT_H
#define VIRTIO_RING_FORMAT_H

#include <endian.h>

#include "virtio/ring.h"

/*
 * ring.h says what each does. For a ring that is broken none is called but push, show and
 * wants_interrupt.
 */
struct ring_format {
	int (*start)(struct ring *ring);
	int (*pop)(struct ring *ring, struct ring_chain *chain, struct iovec *iov,
		   unsigned int max_iov);
	void (*push)(struct ring *ring, const struct ring_chain *chain, uint32_t written);
	void (*show)(struct ring *ring);
	bool (*wants_interrupt)(const struct ring *ring);
	bool (*enable_kicks)(struct ring *ring);
	void (*disable_kicks)(struct ring *ring);
	/* Set the positions of a ring, just started, to where it stands: ring_state_recover(). */
	void (*recover)(struct ring *ring, bool finish);
};

extern const struct ring_format split_ring_format;
extern const struct ring_format packed_ring_format;

/* The ring can't be served any more, because of @why (static). -EPROTO. */
int ring_break(struct ring *ring, const char *why);

/* The area of @len bytes at @addr; NULL if it is not @alignment-aligned or not in memory. */
void *ring_area(const struct ring *ring, gpa_t addr, size_t len, size_t alignment);

/*
 * Add a piece of guest memory to @chain and @iov: 0, -ENOBUFS, or -EPROTO as ring_pop(). One of no
 * bytes is left out. @in: device-writable.
 */
int ring_add_piece(struct ring *ring, struct ring_chain *chain, uint64_t addr, uint32_t len,
		   bool in, struct iovec *iov, unsigned int max_iov);

/* What both sides write changes under us: one access each, never again. */
static inline uint16_t ring_load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline void ring_store16(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, htole16(value), __ATOMIC_RELAXED);
}

#endif
