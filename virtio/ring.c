/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/ring.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "virtio/ring_format.h"

static bool has(uint64_t features, unsigned int feature)
{
	return features >> feature & 1;
}

void ring_state_rewind(struct ring_state *state, uint64_t features)
{
	/* 2.8.1: both wrap counters begin as 1. */
	uint16_t start = has(features, VIRTIO_F_RING_PACKED) ? 0x8000 : 0;

	state->next_avail = start;
	state->next_used = start;
}

int ring_start(struct ring *ring, const struct guest_memory *mem, const struct ring_state *state,
	       uint64_t features)
{
	*ring = (struct ring){
		.format = has(features, VIRTIO_F_RING_PACKED) ? &packed_ring_format
							      : &split_ring_format,
		.mem = mem,
		.state = *state,
		.event_idx = has(features, VIRTIO_RING_F_EVENT_IDX),
		.indirect = has(features, VIRTIO_RING_F_INDIRECT_DESC),
	};
	return ring->format->start(ring) ? -EINVAL : 0;
}

int ring_state_recover(struct ring_state *state, const struct guest_memory *mem, uint64_t features,
		       bool finish)
{
	struct ring_state start = *state;
	struct ring ring;

	ring_state_rewind(&start, features);
	if (ring_start(&ring, mem, &start, features))
		return -EINVAL;
	ring.format->recover(&ring, finish);
	*state = ring.state;
	return 0;
}

int ring_pop(struct ring *ring, struct ring_chain *chain, struct iovec *iov, unsigned int max_iov)
{
	return ring->broken ? -EPROTO : ring->format->pop(ring, chain, iov, max_iov);
}

void ring_rewind(struct ring *ring, uint16_t position)
{
	ring->state.next_avail = position;
}

void ring_push(struct ring *ring, const struct ring_chain *chain, uint32_t written)
{
	ring->format->push(ring, chain, written);
	ring->pushed++;
}

void ring_show(struct ring *ring)
{
	if (ring->pushed)
		ring->format->show(ring);
	ring->unsettled += ring->pushed;
	ring->pushed = 0;
}

bool ring_wants_interrupt(const struct ring *ring)
{
	if (!ring->unsettled)
		return false;
	/*
	 * Full barrier, paired with the driver's between writing when it wants an interrupt and
	 * looking for what was used: one of the two sees the other's write (2.7.7.2, 2.8.21.3.1).
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring->format->wants_interrupt(ring);
}

void ring_settle(struct ring *ring)
{
	ring->settled |= ring->unsettled != 0;
	ring->settled_at = ring->state.next_used;
	ring->unsettled = 0;
}

bool ring_publish(struct ring *ring)
{
	bool wanted;

	ring_show(ring);
	wanted = ring_wants_interrupt(ring);
	ring_settle(ring);
	return wanted;
}

bool ring_enable_kicks(struct ring *ring)
{
	return !ring->broken && ring->format->enable_kicks(ring);
}

void ring_disable_kicks(struct ring *ring)
{
	if (!ring->broken)
		ring->format->disable_kicks(ring);
}

int ring_break(struct ring *ring, const char *why)
{
	ring->broken = why;
	return -EPROTO;
}

void *ring_area(const struct ring *ring, gpa_t addr, size_t len, size_t alignment)
{
	return addr.value % alignment ? NULL : memory_translate(ring->mem, addr, len);
}

int ring_add_piece(struct ring *ring, struct ring_chain *chain, uint64_t addr, uint32_t len,
		   bool in, struct iovec *iov, unsigned int max_iov)
{
	unsigned int n = chain->n_out + chain->n_in;
	void *host;

	if (!in && chain->n_in)
		return ring_break(ring, "a device-readable descriptor follows a writable one");
	if (len == 0)
		return 0;
	host = memory_translate(ring->mem, gpa(addr), len);
	if (!host)
		return ring_break(ring, "a descriptor points outside of memory");
	if (n == max_iov)
		return -ENOBUFS;
	iov[n] = (struct iovec){.iov_base = host, .iov_len = len};
	if (in) {
		chain->n_in++;
		chain->in_len += len;
	} else {
		chain->n_out++;
		chain->out_len += len;
	}
	return 0;
}
