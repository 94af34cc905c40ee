/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver against the device's side of a ring of either format. The input is a list of
 * steps: writes to guest memory and calls of ring.h, in any order that it allows. What a chain
 * holds must lie in memory and add up; a broken ring must stay broken; one whose server died is
 * found again.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/ring.h"

enum {
	LOW = 0x4000, /* two regions, with a hole between them */
	HIGH_BASE = 0x8000,
	HIGH = 0x2000,
	MAX_IOV = 64,
	MAX_TAKEN = 1024,
	STEPS_MAX = 4096,
};

struct fuzz {
	struct guest_memory mem;
	struct ring ring;
	bool packed;
	struct ring_chain taken[MAX_TAKEN]; /* popped and neither pushed nor given back */
	unsigned int n_taken;
	uint16_t next_used; /* with what was pushed */
};

/* Where the ring is after @chain, from @position on. */
static uint16_t after(const struct fuzz *fuzz, uint16_t position, const struct ring_chain *chain)
{
	if (!fuzz->packed)
		return (uint16_t)(position + 1);
	for (unsigned int i = 0; i < chain->slots; i++)
		position = (position & 0x7fff) == fuzz->ring.state.size - 1 ? ~position & 0x8000
									    : position + 1;
	return position;
}

static int in_memory(const struct guest_memory *mem, const struct iovec *iov)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct memory_region *region = &mem->regions[i];
		size_t offset = (size_t)((char *)iov->iov_base - (char *)region->host);

		if (offset < region->range.size && iov->iov_len <= region->range.size - offset)
			return 1;
	}
	return 0;
}

static void check_chain(const struct fuzz *fuzz, const struct ring_chain *chain,
			const struct iovec *iov, unsigned int max)
{
	size_t out = 0, in = 0;

	require(chain->n_out + chain->n_in <= max);
	require(chain->n_out + chain->n_in <= fuzz->ring.state.size);
	require(!fuzz->packed || (chain->slots && chain->slots <= fuzz->ring.state.size));
	for (unsigned int i = 0; i < chain->n_out + chain->n_in; i++) {
		require(iov[i].iov_len > 0 && in_memory(&fuzz->mem, &iov[i]));
		*(i < chain->n_out ? &out : &in) += iov[i].iov_len;
	}
	require(out == chain->out_len && in == chain->in_len);
}

static void pop(struct fuzz *fuzz, unsigned int max)
{
	uint16_t before = fuzz->ring.state.next_avail;
	const char *broken = fuzz->ring.broken;
	struct iovec iov[MAX_IOV];
	struct ring_chain chain;
	int ret;

	ret = ring_pop(&fuzz->ring, &chain, iov, max);
	if (ret == 1) {
		require(!broken && !fuzz->ring.broken && chain.position == before);
		require(fuzz->ring.state.next_avail == after(fuzz, before, &chain));
		check_chain(fuzz, &chain, iov, max);
		if (fuzz->n_taken < MAX_TAKEN)
			fuzz->taken[fuzz->n_taken++] = chain;
		return;
	}
	require(fuzz->ring.state.next_avail == before);
	if (ret == -EPROTO)
		require(fuzz->ring.broken && (!broken || broken == fuzz->ring.broken));
	else
		require(!fuzz->ring.broken && (ret == 0 || ret == -ENOBUFS));
}

static void push(struct fuzz *fuzz)
{
	/* A driver that exposes chains twice makes more of them than there are descriptors. */
	if (!fuzz->n_taken)
		return;
	fuzz->next_used = after(fuzz, fuzz->next_used, &fuzz->taken[0]);
	ring_push(&fuzz->ring, &fuzz->taken[0], (uint32_t)fuzz->taken[0].in_len);
	memmove(fuzz->taken, fuzz->taken + 1, --fuzz->n_taken * sizeof(fuzz->taken[0]));
}

static void rewind_ring(struct fuzz *fuzz)
{
	if (fuzz->n_taken)
		ring_rewind(&fuzz->ring, fuzz->taken[--fuzz->n_taken].position);
}

/* Whoever served the ring is gone: it is found again at some place that it has. */
static void recover(const struct fuzz *fuzz, struct ring_state *state, uint64_t features)
{
	const struct ring_state before = *state;

	if (ring_state_recover(state, &fuzz->mem, features, true)) {
		require(memcmp(&before, state, sizeof(before)) == 0);
		return;
	}
	require(state->next_avail == state->next_used);
	require(!fuzz->packed || (state->next_used & 0x7fff) < state->size);
}

/* Stop and go on, perhaps with other areas: as after a reset. */
static void start(struct fuzz *fuzz, struct input *in)
{
	uint32_t size = take(in, 1);
	struct ring_state state = {
		.desc = gpa(0x1000),
		.driver = gpa(0x2000),
		.device = gpa(0x3000),
	};
	uint64_t features = take(in, 1);
	bool lost = features & 8;

	fuzz->packed = features & 4;
	state.size = (uint16_t)(fuzz->packed ? size + 1 : 1u << size % 8);
	if (features & 0x80) {
		state.size = (uint16_t)take(in, 2);
		state.desc = gpa(take(in, 3));
		state.driver = gpa(take(in, 3));
		state.device = gpa(take(in, 3));
	}
	state.next_avail = state.next_used = (uint16_t)take(in, 2);
	features = (features & 1) << VIRTIO_RING_F_EVENT_IDX |
		   (features >> 1 & 1) << VIRTIO_RING_F_INDIRECT_DESC |
		   (uint64_t)fuzz->packed << VIRTIO_F_RING_PACKED;
	if (lost)
		recover(fuzz, &state, features);
	fuzz->n_taken = 0;
	fuzz->next_used = state.next_used;
	if (ring_start(&fuzz->ring, &fuzz->mem, &state, features))
		require(fuzz->ring.broken != NULL);
	else
		require(!fuzz->ring.broken);
}

static void write_desc(struct fuzz *fuzz, struct input *in)
{
	uint32_t at = take(in, 2);
	uint64_t addr = take(in, 2) | (uint64_t)(take(in, 1) / 255) << 63;
	uint32_t len = take(in, 2);
	uint16_t flags = (uint16_t)take(in, 1);
	uint16_t last = (uint16_t)take(in, 1);
	const struct vring_desc split = {addr, len, flags, last};
	const struct vring_packed_desc packed = {
		.addr = addr,
		.len = len,
		.id = last,
		/* AVAIL is in its place; USED, the highest bit, comes as 64. */
		.flags = (uint16_t)((flags & 0xbf) | (flags & 0x40) << 9),
	};

	memory_write(&fuzz->mem, gpa(at), fuzz->packed ? (const void *)&packed : &split,
		     sizeof(split));
}

static void step(struct fuzz *fuzz, struct input *in)
{
	uint32_t op = take(in, 1);
	uint32_t value;

	switch (op % 10) {
	case 0:
		pop(fuzz, op < 128 ? MAX_IOV : op % MAX_IOV);
		break;
	case 1:
		/* A ring that never started has no memory to push to. */
		if (fuzz->ring.device)
			push(fuzz);
		break;
	case 2:
		ring_publish(&fuzz->ring);
		require(fuzz->ring.state.next_used == fuzz->next_used);
		break;
	case 3:
		rewind_ring(fuzz);
		break;
	case 4:
		ring_enable_kicks(&fuzz->ring);
		break;
	case 5:
		ring_disable_kicks(&fuzz->ring);
		break;
	case 6:
		write_desc(fuzz, in);
		break;
	case 7: /* a field of the driver area, at its usual place */
		value = take(in, 2);
		memory_write(&fuzz->mem, gpa(0x2000 + op / 10 * 2), &value, 2);
		break;
	case 8:
		op = take(in, 2);
		value = take(in, 2);
		memory_write(&fuzz->mem, gpa(op), &value, 2);
		break;
	default:
		start(fuzz, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memory_range ranges[] = {{0, LOW}, {HIGH_BASE, HIGH}};
	static const struct memory_config config;
	struct input in = {data, size};
	static struct fuzz fuzz; /* too large for the stack */

	require(memory_create(&fuzz.mem, ranges, 2, &config, NULL) == 0);
	start(&fuzz, &in);
	for (int i = 0; in.len && i < STEPS_MAX; i++)
		step(&fuzz, &in);
	memory_destroy(&fuzz.mem);
	return 0;
}
