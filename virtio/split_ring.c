/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues (virtio 1.3, section 2.7), with indirect descriptors and event index. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "virtio/ring_format.h"

_Static_assert(sizeof(struct vring_desc) == 16, "2.7.5: a descriptor");
_Static_assert(offsetof(struct vring_avail, ring) == 4, "2.7.6: flags and idx come first");
_Static_assert(offsetof(struct vring_used, ring) == 4, "2.7.8: flags and idx come first");
_Static_assert(sizeof(struct vring_used_elem) == 8, "2.7.8: id and len");

/* --- the three areas --- */

static const struct vring_desc *descriptors(const struct ring *ring)
{
	return ring->desc;
}

static struct vring_avail *avail_ring(const struct ring *ring)
{
	return ring->driver;
}

static struct vring_used *used_ring(const struct ring *ring)
{
	return ring->device;
}

/* Where the driver says after which used entry it wants an interrupt: behind the avail ring. */
static uint16_t *used_event(const struct ring *ring)
{
	return &avail_ring(ring)->ring[ring->state.size];
}

/* Where we say after which avail entry we want a kick: behind the used ring. */
static uint16_t *avail_event(const struct ring *ring)
{
	return (uint16_t *)&used_ring(ring)->ring[ring->state.size];
}

static int split_start(struct ring *ring)
{
	const struct ring_state *state = &ring->state;
	size_t size = state->size;

	ring->avail_idx = state->next_avail;
	if (size == 0 || size & (size - 1) || size > RING_SIZE_MAX)
		return ring_break(ring, "the size is not a power of two up to 32768");
	/* Each ring is followed by a field for the event index, used or not (2.7.6, 2.7.8). */
	ring->desc = ring_area(ring, state->desc, size * sizeof(struct vring_desc),
			       VRING_DESC_ALIGN_SIZE);
	ring->driver = ring_area(ring, state->driver,
				 sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t),
				 VRING_AVAIL_ALIGN_SIZE);
	ring->device = ring_area(ring, state->device,
				 sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
					 sizeof(uint16_t),
				 VRING_USED_ALIGN_SIZE);
	if (!ring->desc)
		return ring_break(ring, "the descriptor area is not aligned or not in memory");
	if (!ring->driver)
		return ring_break(ring, "the driver area is not aligned or not in memory");
	if (!ring->device)
		return ring_break(ring, "the device area is not aligned or not in memory");
	return 0;
}

/* --- taking chains --- */

/* How many chains wait; -EPROTO if the driver's index ran away. */
static int available(struct ring *ring)
{
	uint16_t n;

	if (ring->avail_idx == ring->state.next_avail)
		/* Acquire: entries and descriptors are read after the index that covers them. */
		ring->avail_idx =
			le16toh(__atomic_load_n(&avail_ring(ring)->idx, __ATOMIC_ACQUIRE));
	n = (uint16_t)(ring->avail_idx - ring->state.next_avail);
	if (n > ring->state.size)
		return ring_break(ring,
				  "the available index is further ahead than the ring is long");
	return n;
}

static struct vring_desc copy_desc(const struct vring_desc *from)
{
	struct vring_desc desc;

	memcpy(&desc, from, sizeof(desc));
	/* The compiler must not read it again behind our checks. */
	__asm__ volatile("" ::: "memory");
	desc.addr = le64toh(desc.addr);
	desc.len = le32toh(desc.len);
	desc.flags = le16toh(desc.flags);
	desc.next = le16toh(desc.next);
	return desc;
}

/* Go through the chain that begins at descriptor @head. */
static int walk(struct ring *ring, struct ring_chain *chain, uint16_t head, struct iovec *iov,
		unsigned int max_iov)
{
	const struct vring_desc *table = descriptors(ring);
	unsigned int table_len = ring->state.size;
	unsigned int i = head, count = 0;
	bool indirect = false; /* inside of an indirect table, which may even be the ring's own */

	for (;;) {
		struct vring_desc desc;
		int ret;

		if (i >= table_len)
			return ring_break(ring, "a descriptor index is past the end of its table");
		/* 2.7.5.3.1: a chain is no longer than the queue size. So loops end here, too. */
		if (count++ == ring->state.size)
			return ring_break(ring, "a chain is longer than the ring (or a loop)");
		desc = copy_desc(&table[i]);

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect)
				return ring_break(ring,
						  "an indirect descriptor was not negotiated");
			if (indirect)
				return ring_break(ring, "an indirect table holds an indirect one");
			if (desc.flags & VRING_DESC_F_NEXT)
				return ring_break(ring, "an indirect descriptor has a next one");
			if (desc.len == 0 || desc.len % sizeof(desc))
				return ring_break(ring, "an indirect table has an odd length");
			table = memory_translate(ring->mem, gpa(desc.addr), desc.len);
			if (!table)
				return ring_break(ring, "an indirect table is outside of memory");
			table_len = desc.len / (unsigned int)sizeof(desc);
			indirect = true;
			i = 0;
			count--; /* the descriptor that points to the table carries no data */
			continue;
		}
		ret = ring_add_piece(ring, chain, desc.addr, desc.len,
				     desc.flags & VRING_DESC_F_WRITE, iov, max_iov);
		if (ret)
			return ret;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		i = desc.next;
	}
}

static int split_pop(struct ring *ring, struct ring_chain *chain, struct iovec *iov,
		     unsigned int max_iov)
{
	uint16_t position = ring->state.next_avail;
	uint16_t head;
	int ret;

	ret = available(ring);
	if (ret <= 0)
		return ret;
	head = ring_load16(&avail_ring(ring)->ring[position & (ring->state.size - 1)]);
	*chain = (struct ring_chain){.id = head, .position = position};
	ret = walk(ring, chain, head, iov, max_iov);
	if (ret)
		return ret;
	ring->state.next_avail++;
	return 1;
}

/* --- returning chains --- */

static void split_push(struct ring *ring, const struct ring_chain *chain, uint32_t written)
{
	uint16_t slot = (uint16_t)(ring->state.next_used + ring->pushed);
	struct vring_used_elem *elem = &used_ring(ring)->ring[slot & (ring->state.size - 1)];

	elem->id = htole32(chain->id);
	elem->len = htole32(written);
}

static void split_show(struct ring *ring)
{
	ring->state.next_used = (uint16_t)(ring->state.next_used + ring->pushed);
	/* Release: the driver that sees the index sees the entries and the buffers' contents. */
	__atomic_store_n(&used_ring(ring)->idx, htole16(ring->state.next_used), __ATOMIC_RELEASE);
}

static bool split_wants_interrupt(const struct ring *ring)
{
	if (!ring->event_idx)
		return !(ring_load16(&avail_ring(ring)->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return !ring->settled || vring_need_event(ring_load16(used_event(ring)),
						  ring->state.next_used, ring->settled_at);
}

/* --- kicks --- */

static bool split_enable_kicks(struct ring *ring)
{
	if (ring->event_idx)
		ring_store16(avail_event(ring), ring->state.next_avail);
	else
		ring_store16(&used_ring(ring)->flags, 0);
	/* Full barrier, paired with the driver's before it reads our wish (2.7.13.4.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_load16(&avail_ring(ring)->idx) != ring->state.next_avail;
}

static void split_disable_kicks(struct ring *ring)
{
	/* With event index there is nothing to do: the event lies behind until it is set again. */
	if (!ring->event_idx)
		ring_store16(&used_ring(ring)->flags, VRING_USED_F_NO_NOTIFY);
}

/* --- recovery --- */

/* Chains count as returned once the index covers them, and it is written last. */
static void split_recover(struct ring *ring, bool finish)
{
	(void)finish; /* nothing shows of what the index doesn't cover */
	ring->state.next_used = ring_load16(&used_ring(ring)->idx);
	ring->state.next_avail = ring->state.next_used;
}

const struct ring_format split_ring_format = {
	.start = split_start,
	.pop = split_pop,
	.push = split_push,
	.show = split_show,
	.wants_interrupt = split_wants_interrupt,
	.enable_kicks = split_enable_kicks,
	.disable_kicks = split_disable_kicks,
	.recover = split_recover,
};
