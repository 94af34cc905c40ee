/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split and a packed ring, each with its driver, that the same is done to: they must move the
 * same bytes. For a test and for a fuzzer, which bring MUST(condition), and dice(n): a number below
 * n. One pair a program.
 */
#ifndef TESTS_UNIT_RING_PAIR_H
#define TESTS_UNIT_RING_PAIR_H

#include <errno.h>
#include <linux/virtio_config.h>

#include "tests/unit/driver.h"
#include "virtio/ring.h"

#define PACKED	  (1ULL << VIRTIO_F_RING_PACKED)
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

static unsigned int dice(unsigned int n);

enum {
	SPLIT,
	PACK,
	RINGS,

	SIZE_MAX_TESTED = 256,
	RING_AT = 0x1000,    /* and the other one a MiB behind */
	TABLES_AT = 0x10000, /* one a chain, at its number modulo the ring's size */
	DATA_AT = 0x80000,
	STEP = 0x100000,
	PIECES = 9,
};

/* Where a chain's pieces are, by its number. */
struct made {
	struct driver_piece pieces[PIECES];
	unsigned int n;
};

/* One of the two: driver and device. */
struct side {
	uint64_t base;
	struct driver_ring driver;
	struct ring ring;
	struct ring_chain taken[SIZE_MAX_TESTED]; /* oldest first */
	unsigned int n_taken;
	int numbers[SIZE_MAX_TESTED]; /* of the chains by id */
};

static struct guest_memory mem; /* 2 * STEP bytes from 0 on */
static struct side sides[RINGS];
static struct made made[SIZE_MAX_TESTED];
static unsigned int n_made, n_returned;

static void *host(const struct side *side, uint64_t at)
{
	return memory_translate(&mem, gpa(side->base + at), 1);
}

static void pair_start(uint16_t size, uint64_t features)
{
	for (int i = 0; i < RINGS; i++) {
		struct side *side = &sides[i];
		bool event_idx = features & EVENT_IDX;
		struct ring_state state;

		side->base = (uint64_t)i * STEP;
		side->n_taken = 0;
		if (i == PACK)
			driver_packed_init(&side->driver, &mem, gpa(side->base + RING_AT), size,
					   event_idx, 0x8000);
		else
			driver_ring_init(&side->driver, &mem, gpa(side->base + RING_AT), size,
					 event_idx, 0);
		state = driver_ring_state(&side->driver);
		MUST(!ring_start(&side->ring, &mem, &state, features | (i == PACK ? PACKED : 0)));
	}
	n_made = n_returned = 0;
}

static void pair_restart(uint64_t features)
{
	for (int i = 0; i < RINGS; i++) {
		struct side *side = &sides[i];
		struct ring_state state;

		if (side->n_taken)
			ring_rewind(&side->ring, side->taken[0].position);
		side->n_taken = 0;
		ring_publish(&side->ring);
		state = side->ring.state;
		MUST(!ring_start(&side->ring, &mem, &state, features | (i == PACK ? PACKED : 0)));
	}
}

/* Pieces in places of their own, so that it shows what was written where. */
static void make_pieces(struct made *chain, unsigned int number, uint16_t size)
{
	unsigned int n_out = dice(PIECES / 2 + 1);
	uint64_t at = DATA_AT + number % size * 1024;

	chain->n = n_out + dice(PIECES / 2 + 1);
	if (!chain->n)
		chain->n = n_out = 1;
	if (chain->n > size)
		chain->n = size;
	for (unsigned int i = 0; i < chain->n; i++) {
		uint32_t len = dice(8) ? dice(100) + 1 : 0;

		chain->pieces[i] = (struct driver_piece){at, len, i >= n_out};
		at += len + dice(3);
	}
}

/* The driver adds a chain to both, direct or not. */
static void add(uint16_t size, bool indirect)
{
	struct made *chain = &made[n_made % size];

	if (n_made - n_returned == size)
		return;
	make_pieces(chain, n_made, size);
	/* A ring with few free descriptors has room for a table. The two count alike. */
	MUST(sides[SPLIT].driver.n_free == sides[PACK].driver.n_free);
	if (sides[SPLIT].driver.n_free < (indirect ? 1 : chain->n))
		return;
	for (int i = 0; i < RINGS; i++) {
		struct side *side = &sides[i];
		struct driver_piece pieces[PIECES];
		int id;

		for (unsigned int k = 0; k < chain->n; k++) {
			const struct driver_piece *piece = &chain->pieces[k];

			pieces[k] = *piece;
			pieces[k].addr += side->base;
			memset(host(side, piece->addr), piece->in ? 0 : (int)n_made % 251 + 1,
			       piece->len);
		}
		if (indirect) {
			uint64_t table = TABLES_AT + n_made % size * PIECES * 16;

			id = driver_add_indirect(&side->driver, pieces, chain->n, host(side, table),
						 gpa(side->base + table));
		} else {
			id = driver_add_chain(&side->driver, pieces, chain->n);
		}
		MUST(id >= 0);
		side->numbers[id] = (int)n_made;
	}
	n_made++;
}

/* The two want kicks or interrupts at different places, never at all or always alike. */
static void expose(void)
{
	for (int i = 0; i < RINGS; i++)
		driver_expose(&sides[i].driver);
}

/* The device takes a chain from both: they must be the same, up to where they lie. */
static void pop(void)
{
	unsigned int room = dice(4) ? PIECES : dice(PIECES);
	struct iovec iov[RINGS][PIECES];
	struct ring_chain chains[RINGS];
	int ret[RINGS];

	if (sides[0].n_taken == SIZE_MAX_TESTED)
		return;
	for (int i = 0; i < RINGS; i++)
		ret[i] = ring_pop(&sides[i].ring, &chains[i], iov[i], room);
	MUST(ret[SPLIT] == ret[PACK]);
	MUST(ret[0] == 1 || ret[0] == 0 || ret[0] == -ENOBUFS);
	if (ret[0] != 1)
		return;
	MUST(chains[0].n_out == chains[1].n_out && chains[0].n_in == chains[1].n_in);
	MUST(chains[0].out_len == chains[1].out_len && chains[0].in_len == chains[1].in_len);
	for (unsigned int i = 0; i < chains[0].n_out + chains[0].n_in; i++) {
		MUST((char *)iov[0][i].iov_base + STEP == iov[1][i].iov_base);
		MUST(iov[0][i].iov_len == iov[1][i].iov_len);
		MUST(memcmp(iov[0][i].iov_base, iov[1][i].iov_base, iov[0][i].iov_len) == 0);
	}
	/* Write into it what depends on what was read. */
	for (int i = 0; i < RINGS; i++) {
		const struct ring_chain *chain = &chains[i];
		int seed = chain->n_out ? *(char *)iov[i][0].iov_base : 99;

		for (unsigned int k = chain->n_out; k < chain->n_out + chain->n_in; k++)
			memset(iov[i][k].iov_base, seed + (int)k, iov[i][k].iov_len);
		sides[i].taken[sides[i].n_taken++] = *chain;
	}
}

static void push(void)
{
	uint32_t written;

	if (!sides[0].n_taken)
		return;
	written = dice((unsigned int)sides[0].taken[0].in_len + 1);
	for (int i = 0; i < RINGS; i++) {
		struct side *side = &sides[i];

		ring_push(&side->ring, &side->taken[0], written);
		memmove(side->taken, side->taken + 1, --side->n_taken * sizeof(side->taken[0]));
	}
}

static void give_back(void)
{
	unsigned int n = sides[0].n_taken ? dice(sides[0].n_taken) : 0;

	if (!sides[0].n_taken)
		return;
	for (int i = 0; i < RINGS; i++) {
		ring_rewind(&sides[i].ring, sides[i].taken[n].position);
		sides[i].n_taken = n;
	}
}

/* The driver takes back all that was used: the same chains, in order, with the same bytes. */
static void take_back(void)
{
	for (;;) {
		uint32_t id[RINGS], len[RINGS];
		bool used[RINGS];
		const struct made *chain = &made[n_returned % sides[0].driver.size];

		for (int i = 0; i < RINGS; i++)
			used[i] = driver_used(&sides[i].driver, &id[i], &len[i]);
		MUST(used[SPLIT] == used[PACK]);
		if (!used[0])
			return;
		MUST(len[SPLIT] == len[PACK]);
		for (int i = 0; i < RINGS; i++)
			MUST(sides[i].numbers[id[i]] == (int)n_returned);
		for (unsigned int i = 0; i < chain->n; i++)
			MUST(memcmp(host(&sides[SPLIT], chain->pieces[i].addr),
				    host(&sides[PACK], chain->pieces[i].addr),
				    chain->pieces[i].len) == 0);
		n_returned++;
	}
}

/* One operation, whichever the dice say. */
static void pair_step(uint16_t size, uint64_t features)
{
	switch (dice(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		add(size, dice(2));
		break;
	case 4:
	case 5:
		expose();
		break;
	case 6:
	case 7:
	case 8:
		pop();
		break;
	case 9:
	case 10:
	case 11:
		push();
		break;
	case 12:
		for (int i = 0; i < RINGS; i++)
			ring_publish(&sides[i].ring);
		break;
	case 13:
		take_back();
		break;
	case 14:
		if (!dice(8))
			give_back();
		break;
	default:
		if (!dice(16))
			pair_restart(features);
		break;
	}
	MUST(!sides[SPLIT].ring.broken && !sides[PACK].ring.broken);
}

#endif
