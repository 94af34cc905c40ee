/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues (virtio 1.3, section 2.8), with indirect descriptors and event index. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtio/ring_format.h"

_Static_assert(sizeof(struct vring_packed_desc) == 16, "2.8.13: a descriptor");
_Static_assert(sizeof(struct vring_packed_desc_event) == 4, "2.8.14: event suppression");
_Static_assert(offsetof(struct vring_packed_desc, flags) == 14, "2.8.13");

enum {
	FLAG_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
	FLAG_USED = 1 << VRING_PACKED_DESC_F_USED,
	WRAP = 1 << VRING_PACKED_EVENT_F_WRAP_CTR, /* the wrap counter in a position */
};

/* --- positions --- */

static struct vring_packed_desc *desc_at(const struct ring *ring, uint16_t position)
{
	return (struct vring_packed_desc *)ring->desc + (position & ~WRAP);
}

/* The position @n descriptors (at most the ring's size) after @position. */
static uint16_t advance(const struct ring *ring, uint16_t position, unsigned int n)
{
	unsigned int index = (position & (unsigned int)~WRAP) + n;

	if (index < ring->state.size)
		return (uint16_t)((position & WRAP) | index);
	return (uint16_t)((~position & WRAP) | (index - ring->state.size));
}

static struct vring_packed_desc_event *driver_event(const struct ring *ring)
{
	return ring->driver;
}

static struct vring_packed_desc_event *device_event(const struct ring *ring)
{
	return ring->device;
}

static int packed_start(struct ring *ring)
{
	const struct ring_state *state = &ring->state;

	if (state->size == 0 || state->size > RING_SIZE_MAX)
		return ring_break(ring, "the size is not between 1 and 32768");
	/* A datapath gave them back, or they are a new ring's; a test may bring what it likes. */
	if ((state->next_avail & ~WRAP) >= state->size || (state->next_used & ~WRAP) >= state->size)
		return ring_break(ring, "the ring begins past its end");
	ring->used_at = state->next_used;
	/* 2.8.10.1: alignment. */
	ring->desc = ring_area(ring, state->desc, state->size * sizeof(struct vring_packed_desc),
			       sizeof(struct vring_packed_desc));
	ring->driver = ring_area(ring, state->driver, sizeof(struct vring_packed_desc_event),
				 sizeof(struct vring_packed_desc_event));
	ring->device = ring_area(ring, state->device, sizeof(struct vring_packed_desc_event),
				 sizeof(struct vring_packed_desc_event));
	if (!ring->desc)
		return ring_break(ring, "the descriptor area is not aligned or not in memory");
	if (!ring->driver)
		return ring_break(ring, "the driver area is not aligned or not in memory");
	if (!ring->device)
		return ring_break(ring, "the device area is not aligned or not in memory");
	return 0;
}

/* --- taking chains --- */

/* 2.8.1: available is what has AVAIL as our wrap counter is, and USED not so. */
static bool is_available(uint16_t flags, uint16_t position)
{
	bool wrap = position & WRAP;

	return !!(flags & FLAG_AVAIL) == wrap && !!(flags & FLAG_USED) != wrap;
}

static struct vring_packed_desc copy_desc(const struct vring_packed_desc *from)
{
	struct vring_packed_desc desc;

	memcpy(&desc, from, sizeof(desc));
	/* The compiler must not read it again behind our checks. */
	__asm__ volatile("" ::: "memory");
	desc.addr = le64toh(desc.addr);
	desc.len = le32toh(desc.len);
	desc.id = le16toh(desc.id);
	desc.flags = le16toh(desc.flags);
	return desc;
}

/* 2.8.7: all of an indirect table is the chain; of flags only WRITE counts in it. */
static int walk_indirect(struct ring *ring, struct ring_chain *chain,
			 const struct vring_packed_desc *head, struct iovec *iov,
			 unsigned int max_iov)
{
	const struct vring_packed_desc *table;
	unsigned int n = head->len / (unsigned int)sizeof(*table);

	if (!ring->indirect)
		return ring_break(ring, "an indirect descriptor was not negotiated");
	if (head->len == 0 || head->len % sizeof(*table))
		return ring_break(ring, "an indirect table has an odd length");
	if (n > ring->state.size)
		return ring_break(ring, "a chain is longer than the ring");
	table = memory_translate(ring->mem, gpa(head->addr), head->len);
	if (!table)
		return ring_break(ring, "an indirect table is outside of memory");
	for (unsigned int i = 0; i < n; i++) {
		struct vring_packed_desc desc = copy_desc(&table[i]);
		int ret = ring_add_piece(ring, chain, desc.addr, desc.len,
					 desc.flags & VRING_DESC_F_WRITE, iov, max_iov);

		if (ret)
			return ret;
	}
	return 0;
}

static int packed_pop(struct ring *ring, struct ring_chain *chain, struct iovec *iov,
		      unsigned int max_iov)
{
	uint16_t position = ring->state.next_avail;
	struct vring_packed_desc desc;
	int ret;

	/*
	 * Acquire: the rest of the chain is read after the flags of its first descriptor, which
	 * the driver writes last (2.8.6).
	 */
	if (!is_available(
		    le16toh(__atomic_load_n(&desc_at(ring, position)->flags, __ATOMIC_ACQUIRE)),
		    position))
		return 0;
	*chain = (struct ring_chain){.position = position};
	do {
		if (chain->slots == ring->state.size)
			return ring_break(ring, "a chain is longer than the ring");
		desc = copy_desc(desc_at(ring, advance(ring, position, chain->slots)));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* 2.8.5, 2.8.19: a list has one kind of descriptors only. */
			if (desc.flags & VRING_DESC_F_NEXT || chain->slots)
				return ring_break(ring, "an indirect descriptor is in a chain");
			ret = walk_indirect(ring, chain, &desc, iov, max_iov);
		} else {
			ret = ring_add_piece(ring, chain, desc.addr, desc.len,
					     desc.flags & VRING_DESC_F_WRITE, iov, max_iov);
		}
		if (ret)
			return ret;
		chain->slots++;
	} while (desc.flags & VRING_DESC_F_NEXT);
	/* 2.8.6: the last descriptor of the chain has its id. */
	chain->id = desc.id;
	ring->state.next_avail = advance(ring, position, chain->slots);
	return 1;
}

/* --- returning chains --- */

static void packed_push(struct ring *ring, const struct ring_chain *chain, uint32_t written)
{
	struct vring_packed_desc *desc = desc_at(ring, ring->used_at);
	/* 2.8.1: used is what has both bits as our wrap counter is. */
	uint16_t flags = ring->used_at & WRAP ? FLAG_AVAIL | FLAG_USED : 0;

	/* 2.8.3: something was written, so that len counts (2.8.4). */
	if (written)
		flags |= VRING_DESC_F_WRITE;
	desc->id = htole16(chain->id);
	desc->len = htole32(written);
	/* 2.8.2: the driver goes by order, and sees nothing of a batch before its first one. */
	if (ring->pushed)
		ring_store16(&desc->flags, flags);
	else
		ring->first_flags = flags;
	ring->used_at = advance(ring, ring->used_at, chain->slots);
}

/* Whether @event lies in the descriptors from @from up to @to, which is not one of them. */
static bool passed(const struct ring *ring, uint16_t event, uint16_t from, uint16_t to)
{
	/* Indices that go on into the next lap; all of the ring at once is one lap, not none. */
	unsigned int size = ring->state.size;
	unsigned int start = from & (unsigned int)~WRAP;
	unsigned int end = (to & (unsigned int)~WRAP) + ((from ^ to) & WRAP ? size : 0);
	unsigned int at = (event & (unsigned int)~WRAP) + ((from ^ event) & WRAP ? size : 0);

	return at >= start && at < end;
}

static void packed_show(struct ring *ring)
{
	struct vring_packed_desc *first = desc_at(ring, ring->state.next_used);

	/* Release: the driver that sees the first one used sees all of the batch. */
	__atomic_store_n(&first->flags, htole16(ring->first_flags), __ATOMIC_RELEASE);
	ring->state.next_used = ring->used_at;
}

static bool packed_wants_interrupt(const struct ring *ring)
{
	const struct vring_packed_desc_event *event = driver_event(ring);
	/* Acquire: the driver writes the event before the flags that make it count. */
	uint16_t flags = le16toh(__atomic_load_n(&event->flags, __ATOMIC_ACQUIRE)) & 3;

	/* DESC that was not negotiated, and 3, which is reserved: rather too many than too few. */
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	return !ring->settled ||
	       passed(ring, ring_load16(&event->off_wrap), ring->settled_at, ring->state.next_used);
}

/* --- kicks --- */

static bool packed_enable_kicks(struct ring *ring)
{
	uint16_t position = ring->state.next_avail;
	struct vring_packed_desc_event *event = device_event(ring);

	if (ring->event_idx) {
		ring_store16(&event->off_wrap, position);
		/* Release: who sees the flags sees the event. */
		__atomic_store_n(&event->flags, htole16(VRING_PACKED_EVENT_FLAG_DESC),
				 __ATOMIC_RELEASE);
	} else {
		ring_store16(&event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	/* Full barrier, paired with the driver's before it reads our wish (2.8.21.3.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return is_available(ring_load16(&desc_at(ring, position)->flags), position);
}

static void packed_disable_kicks(struct ring *ring)
{
	ring_store16(&device_event(ring)->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

/* --- recovery --- */

/*
 * The AVAIL bit of a descriptor is the wrap counter of the driver's last lap over it, whether the
 * device has used it since (2.8.1). So where that bit changes is the driver's position, and for a
 * lap before it each descriptor is either used (USED is like AVAIL) or not.
 *
 * What is not used may be available, or belong to a chain that was used: a used chain's first
 * descriptor alone says so. Its length must be guessed; ids, of which no two chains with the device
 * have the same, tell where it ends.
 */

/* Written by the lap that @position is in, not by the next one. */
static bool of_this_lap(const struct ring *ring, uint16_t position)
{
	return !!(ring_load16(&desc_at(ring, position)->flags) & FLAG_AVAIL) == !!(position & WRAP);
}

static bool looks_used(const struct ring *ring, uint16_t position)
{
	uint16_t flags = ring_load16(&desc_at(ring, position)->flags);

	return !!(flags & FLAG_AVAIL) == !!(flags & FLAG_USED);
}

/*
 * If the driver is at @position + one lap: how many descriptors behind its own it has written for a
 * list whose first one it has not shown yet. -1: it can't be there.
 */
static int written_ahead(const struct ring *ring, uint16_t position)
{
	unsigned int n = 1;

	if (!of_this_lap(ring, position))
		return -1;
	while (n < ring->state.size && !of_this_lap(ring, advance(ring, position, n)))
		n++;
	for (unsigned int i = n; i < ring->state.size; i++) {
		if (!of_this_lap(ring, advance(ring, position, i)))
			return -1;
	}
	return (int)n - 1;
}

/* Where the descriptors of the lap before the driver's position begin; how many there are. */
static uint16_t find_lap(const struct ring *ring, unsigned int *length)
{
	const uint16_t wrap = ring_load16(&desc_at(ring, 0)->flags) & FLAG_AVAIL ? WRAP : 0;
	unsigned int size = ring->state.size, changes = 0;
	/* No change at all: the driver is about to begin a lap. */
	uint16_t found = wrap;
	int ahead, least = written_ahead(ring, found);

	/* More changes than these no driver makes that adheres to the rules. */
	for (uint16_t i = 1; i < size && changes < 4; i++) {
		bool last = ring_load16(&desc_at(ring, (uint16_t)(i - 1))->flags) & FLAG_AVAIL;
		uint16_t position = (uint16_t)(i | (last ? 0 : WRAP));

		if (!of_this_lap(ring, position))
			continue;
		changes++;
		ahead = written_ahead(ring, position);
		if (ahead >= 0 && (least < 0 || ahead < least)) {
			least = ahead;
			found = position;
		}
	}
	*length = size - (least < 0 ? 0 : (unsigned int)least);
	return advance(ring, found, size - *length);
}

/* How many descriptors, at most @max, the list at @position has. */
static unsigned int list_length(const struct ring *ring, uint16_t position, unsigned int max,
				uint16_t *id)
{
	unsigned int n = 0;
	struct vring_packed_desc desc;

	do {
		desc = copy_desc(desc_at(ring, advance(ring, position, n)));
		n++;
	} while (n < max && desc.flags & VRING_DESC_F_NEXT);
	*id = desc.id;
	return n;
}

/* How many descriptors, at most @max, the used chain at @position takes up. */
static unsigned int used_length(const struct ring *ring, uint16_t position, unsigned int max)
{
	uint16_t next = advance(ring, position, 1);
	uint16_t id;
	unsigned int n;

	/*
	 * With indirect tables drivers have no reason to make lists. And then an id that comes
	 * again at once means what it says: a new chain.
	 */
	if (ring->indirect || max == 1 || looks_used(ring, next))
		return 1;
	n = list_length(ring, next, max - 1, &id);
	return id == le16toh(desc_at(ring, position)->id) ? n + 1 : 1;
}

/*
 * A batch shows by its first descriptor, which is written last. If that did not come to pass, but
 * later ones were written, the driver would wait for ever: do it now.
 */
static void finish_batch(const struct ring *ring, uint16_t position)
{
	uint16_t *flags = &desc_at(ring, position)->flags;
	uint16_t write = ring_load16(flags) & VRING_DESC_F_WRITE;

	__atomic_store_n(flags, htole16(write | (position & WRAP ? FLAG_AVAIL | FLAG_USED : 0)),
			 __ATOMIC_RELEASE);
}

/*
 * Before a descriptor's flags say that it is used its length is what was written (2.8.4). That may
 * be all that came to pass; if it shows, nothing can be served from the descriptor again.
 */
static bool is_spent(const struct ring *ring, uint16_t position)
{
	struct vring_packed_desc desc = copy_desc(desc_at(ring, position));

	if (desc.flags & VRING_DESC_F_INDIRECT)
		return desc.len == 0 || desc.len % sizeof(desc);
	return !(desc.flags & (VRING_DESC_F_WRITE | VRING_DESC_F_NEXT)) && desc.len == 0;
}

static void packed_recover(struct ring *ring, bool finish)
{
	unsigned int left; /* descriptors from @position to the driver's */
	uint16_t position = find_lap(ring, &left);
	unsigned int last = 0; /* so many are left at the last used one */
	uint16_t id;

	for (unsigned int n = 0; n < left; n++) {
		if (looks_used(ring, advance(ring, position, n)))
			last = left - n;
	}
	/* Most likely the rest of a chain whose beginning the driver has overwritten. */
	for (; last && left > last && !looks_used(ring, position) && !ring->indirect; left--)
		position = advance(ring, position, 1);
	while (last && left >= last && (finish || looks_used(ring, position))) {
		unsigned int n;

		if (looks_used(ring, position)) {
			n = used_length(ring, position, left);
		} else {
			n = list_length(ring, position, left, &id);
			finish_batch(ring, position);
		}
		position = advance(ring, position, n);
		left -= n;
	}
	if (finish && left && is_spent(ring, position)) {
		finish_batch(ring, position);
		position = advance(ring, position, 1);
	}
	ring->state.next_avail = ring->state.next_used = position;
}

const struct ring_format packed_ring_format = {
	.start = packed_start,
	.pop = packed_pop,
	.push = packed_push,
	.show = packed_show,
	.wants_interrupt = packed_wants_interrupt,
	.enable_kicks = packed_enable_kicks,
	.disable_kicks = packed_disable_kicks,
	.recover = packed_recover,
};
