/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/split_ring.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

/* virtio 1.3, 2.7.5, 2.7.6 and 2.7.8. */
_Static_assert(sizeof(struct vring_desc) == 16, "2.7.5: a descriptor");
_Static_assert(offsetof(struct vring_avail, ring) == 4, "2.7.6: flags and idx come first");
_Static_assert(offsetof(struct vring_used, ring) == 4, "2.7.8: flags and idx come first");
_Static_assert(sizeof(struct vring_used_elem) == 8, "2.7.8: id and len");

static int break_ring(struct split_ring *ring, const char *why)
{
	ring->broken = why;
	return -EPROTO;
}

/* An area of the ring at an aligned address, or NULL. */
static void *area(const struct guest_memory *mem, gpa_t addr, size_t len, size_t alignment)
{
	return addr.value % alignment ? NULL : memory_translate(mem, addr, len);
}

int split_ring_start(struct split_ring *ring, const struct guest_memory *mem,
		     const struct ring_state *state, uint64_t features)
{
	size_t size = state->size;

	*ring = (struct split_ring){
		.mem = mem,
		.state = *state,
		.event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.avail_idx = state->next_avail,
	};
	if (size == 0 || size & (size - 1) || size > 32768) {
		ring->broken = "the size is not a power of two up to 32768";
		return -EINVAL;
	}
	/* Each ring is followed by a field for the event index, used or not (2.7.6, 2.7.8). */
	ring->desc = area(mem, state->desc, size * sizeof(*ring->desc), VRING_DESC_ALIGN_SIZE);
	ring->avail = area(mem, state->driver, sizeof(*ring->avail) + (size + 1) * sizeof(uint16_t),
			   VRING_AVAIL_ALIGN_SIZE);
	ring->used =
		area(mem, state->device,
		     sizeof(*ring->used) + size * sizeof(struct vring_used_elem) + sizeof(uint16_t),
		     VRING_USED_ALIGN_SIZE);
	if (!ring->desc)
		ring->broken = "the descriptor area is not aligned or not in memory";
	else if (!ring->avail)
		ring->broken = "the driver area is not aligned or not in memory";
	else if (!ring->used)
		ring->broken = "the device area is not aligned or not in memory";
	return ring->broken ? -EINVAL : 0;
}

/* The driver's fields change under us: one access each, never again. */
static uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void store16(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, htole16(value), __ATOMIC_RELAXED);
}

/* Where the driver says after which used entry it wants an interrupt: behind the avail ring. */
static uint16_t *used_event(const struct split_ring *ring)
{
	return &ring->avail->ring[ring->state.size];
}

/* Where we say after which avail entry we want a kick: behind the used ring. */
static uint16_t *avail_event(const struct split_ring *ring)
{
	return (uint16_t *)&ring->used->ring[ring->state.size];
}

/* How many chains wait; -EPROTO if the driver's index ran away. */
static int available(struct split_ring *ring)
{
	uint16_t n;

	if (ring->avail_idx == ring->state.next_avail)
		/* Acquire: entries and descriptors are read after the index that covers them. */
		ring->avail_idx = le16toh(__atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE));
	n = (uint16_t)(ring->avail_idx - ring->state.next_avail);
	if (n > ring->state.size)
		return break_ring(ring,
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

/* Add what @desc describes to @chain. */
static int add_piece(struct split_ring *ring, struct ring_chain *chain,
		     const struct vring_desc *desc, struct iovec *iov, unsigned int max_iov)
{
	bool in = desc->flags & VRING_DESC_F_WRITE;
	unsigned int n = chain->n_out + chain->n_in;
	void *host;

	if (!in && chain->n_in)
		return break_ring(ring, "a device-readable descriptor follows a writable one");
	if (desc->len == 0)
		return 0;
	host = memory_translate(ring->mem, gpa(desc->addr), desc->len);
	if (!host)
		return break_ring(ring, "a descriptor points outside of memory");
	if (n == max_iov)
		return -ENOBUFS;
	iov[n] = (struct iovec){.iov_base = host, .iov_len = desc->len};
	if (in) {
		chain->n_in++;
		chain->in_len += desc->len;
	} else {
		chain->n_out++;
		chain->out_len += desc->len;
	}
	return 0;
}

/* Go through the chain that begins at descriptor @head. */
static int walk(struct split_ring *ring, struct ring_chain *chain, uint16_t head, struct iovec *iov,
		unsigned int max_iov)
{
	const struct vring_desc *table = ring->desc;
	unsigned int table_len = ring->state.size;
	unsigned int i = head, count = 0;
	bool indirect = false; /* inside of an indirect table, which may even be the ring's own */

	for (;;) {
		struct vring_desc desc;
		int ret;

		if (i >= table_len)
			return break_ring(ring, "a descriptor index is past the end of its table");
		/* 2.7.5.3.1: a chain is no longer than the queue size. So loops end here, too. */
		if (count++ == ring->state.size)
			return break_ring(ring, "a chain is longer than the ring (or a loop)");
		desc = copy_desc(&table[i]);

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect)
				return break_ring(ring,
						  "an indirect descriptor was not negotiated");
			if (indirect)
				return break_ring(ring, "an indirect table holds an indirect one");
			if (desc.flags & VRING_DESC_F_NEXT)
				return break_ring(ring, "an indirect descriptor has a next one");
			if (desc.len == 0 || desc.len % sizeof(desc))
				return break_ring(ring, "an indirect table has an odd length");
			table = memory_translate(ring->mem, gpa(desc.addr), desc.len);
			if (!table)
				return break_ring(ring, "an indirect table is outside of memory");
			table_len = desc.len / (unsigned int)sizeof(desc);
			indirect = true;
			i = 0;
			count--; /* the descriptor that points to the table carries no data */
			continue;
		}
		ret = add_piece(ring, chain, &desc, iov, max_iov);
		if (ret)
			return ret;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		i = desc.next;
	}
}

int split_ring_pop(struct split_ring *ring, struct ring_chain *chain, struct iovec *iov,
		   unsigned int max_iov)
{
	uint16_t position = ring->state.next_avail;
	uint16_t head;
	int ret;

	if (ring->broken)
		return -EPROTO;
	ret = available(ring);
	if (ret <= 0)
		return ret;
	head = load16(&ring->avail->ring[position & (ring->state.size - 1)]);
	*chain = (struct ring_chain){.id = head, .position = position};
	ret = walk(ring, chain, head, iov, max_iov);
	if (ret)
		return ret;
	ring->state.next_avail++;
	return 1;
}

void split_ring_rewind(struct split_ring *ring, uint16_t position)
{
	ring->state.next_avail = position;
}

void split_ring_push(struct split_ring *ring, uint16_t id, uint32_t written)
{
	uint16_t slot = (uint16_t)(ring->state.next_used + ring->pushed++);
	struct vring_used_elem *elem = &ring->used->ring[slot & (ring->state.size - 1)];

	elem->id = htole32(id);
	elem->len = htole32(written);
}

bool split_ring_publish(struct split_ring *ring)
{
	uint16_t before = ring->signalled;
	bool first = !ring->signalled_valid;

	if (!ring->pushed)
		return false;
	ring->state.next_used = (uint16_t)(ring->state.next_used + ring->pushed);
	ring->pushed = 0;
	/* Release: the driver that sees the index sees the entries and the buffers' contents. */
	__atomic_store_n(&ring->used->idx, htole16(ring->state.next_used), __ATOMIC_RELEASE);
	/*
	 * Full barrier, paired with the driver's between writing used_event (or flags) and reading
	 * the index: one of the two sees the other's write (2.7.7.2).
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(load16(&ring->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	ring->signalled = ring->state.next_used;
	ring->signalled_valid = true;
	return first || vring_need_event(load16(used_event(ring)), ring->state.next_used, before);
}

bool split_ring_enable_kicks(struct split_ring *ring)
{
	if (ring->broken)
		return false;
	if (ring->event_idx)
		store16(avail_event(ring), ring->state.next_avail);
	else
		store16(&ring->used->flags, 0);
	/* Full barrier, paired with the driver's before it reads our wish (2.7.13.4.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(&ring->avail->idx) != ring->state.next_avail;
}

void split_ring_disable_kicks(struct split_ring *ring)
{
	/* With event index there is nothing to do: the event lies behind until it is set again. */
	if (!ring->broken && !ring->event_idx)
		store16(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
}
