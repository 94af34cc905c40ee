/* SPDX-License-Identifier: Apache-2.0 */
/* The two formats of a ring side by side: the same operations must move the same bytes. */
#include "virtio/ring.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>

#include "tests/unit/driver.h"
#include "tests/unit/must.h"

#define PACKED	  (1ULL << VIRTIO_F_RING_PACKED)
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

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
	STEPS = 40000,
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

static struct guest_memory mem;
static struct side sides[RINGS];
static struct made made[SIZE_MAX_TESTED];
static unsigned int n_made, n_returned;

static void setup(void)
{
	static const struct memory_range range = {0, 2 * STEP};
	static const struct memory_config config;

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

/* --- states --- */

START_TEST(state_rewind)
{
	const struct ring_state before = {8, {0x1000}, {0x2000}, {0x3000}, 77, 78};
	struct ring_state state = before;

	ring_state_rewind(&state, EVENT_IDX | INDIRECT);
	ck_assert_uint_eq(state.next_avail, 0);
	ck_assert_uint_eq(state.next_used, 0);
	ring_state_rewind(&state, PACKED);
	ck_assert_uint_eq(state.next_avail, 0x8000);
	ck_assert_uint_eq(state.next_used, 0x8000);
	ck_assert_uint_eq(state.size, before.size);
	ck_assert_uint_eq(state.desc.value, before.desc.value);
	ck_assert_uint_eq(state.driver.value, before.driver.value);
	ck_assert_uint_eq(state.device.value, before.device.value);
}
END_TEST

/* What a new driver makes available is found where a rewound state begins. */
START_TEST(new_ring)
{
	const uint64_t features = _i == PACK ? PACKED : 0;
	static const struct driver_piece piece = {DATA_AT, 5, false};
	struct driver_ring *driver = &sides[_i].driver;
	struct ring *ring = &sides[_i].ring;
	struct ring_state state;
	struct ring_chain chain;
	struct iovec iov;

	if (_i == PACK)
		driver_packed_init(driver, &mem, gpa(RING_AT), 8, false, 0x8000);
	else
		driver_ring_init(driver, &mem, gpa(RING_AT), 8, false, 0);
	driver_add_chain(driver, &piece, 1);
	state = driver_ring_state(driver);
	driver_expose(driver);
	state.next_avail = state.next_used = 3;
	ring_state_rewind(&state, features);
	ck_assert_int_eq(ring_start(ring, &mem, &state, features), 0);
	ck_assert_int_eq(ring_pop(ring, &chain, &iov, 1), 1);
	ck_assert_uint_eq(iov.iov_len, 5);
	ck_assert_int_eq(ring_pop(ring, &chain, &iov, 1), 0);
}
END_TEST

/* --- the same on both --- */

/* The next random number below @n. */
static unsigned int dice(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static void *host(const struct side *side, uint64_t at)
{
	return memory_translate(&mem, gpa(side->base + at), 1);
}

static void start_both(uint16_t size, uint64_t features)
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

static void restart_both(uint64_t features)
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

static const uint16_t sizes[] = {1, 2, 4, 8, 32, 256};

START_TEST(differential)
{
	const uint64_t features = INDIRECT | (_i % 2 ? EVENT_IDX : 0);
	const uint16_t size = sizes[_i / 2];

	srand(42u + (unsigned int)_i);
	start_both(size, features);
	for (int step = 0; step < STEPS; step++) {
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
				restart_both(features);
			break;
		}
		MUST(!sides[SPLIT].ring.broken && !sides[PACK].ring.broken);
	}
	/* It did something, and many laps of it. */
	MUST(n_returned > STEPS / 100);
	MUST(size > 32 || n_returned > 20u * size);
}
END_TEST

/*
 * One chain at a time, nobody ahead of the other: then both formats ask for and send the same kicks
 * and interrupts, whatever was negotiated.
 */
START_TEST(same_notifications)
{
	const uint64_t features = _i ? EVENT_IDX : 0;
	const struct driver_piece piece[RINGS] = {{DATA_AT, 1, true}, {DATA_AT + STEP, 1, true}};

	srand(7);
	start_both(8, features);
	for (int step = 0; step < STEPS; step++) {
		bool kick[RINGS], interrupt[RINGS], more[RINGS];
		bool poll = dice(2), wait = dice(2), wake_up = dice(2);

		for (int i = 0; i < RINGS; i++) {
			struct side *side = &sides[i];
			struct iovec iov;
			uint32_t id, len;

			if (poll)
				ring_disable_kicks(&side->ring);
			else
				MUST(!ring_enable_kicks(&side->ring));
			if (wait)
				MUST(!driver_enable_interrupts(&side->driver));
			else
				driver_disable_interrupts(&side->driver);
			MUST(driver_add_chain(&side->driver, &piece[i], 1) >= 0);
			kick[i] = driver_expose(&side->driver);
			more[i] = wake_up && ring_enable_kicks(&side->ring);
			MUST(ring_pop(&side->ring, &side->taken[0], &iov, 1) == 1);
			ring_push(&side->ring, &side->taken[0], 1);
			interrupt[i] = ring_publish(&side->ring);
			MUST(driver_used(&side->driver, &id, &len));
		}
		MUST(more[SPLIT] == wake_up && more[PACK] == wake_up);
		/* The first time event index errs on the safe side. */
		if (_i && !step)
			continue;
		MUST(kick[SPLIT] == !poll && kick[PACK] == !poll);
		MUST(interrupt[SPLIT] == wait && interrupt[PACK] == wait);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tc = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, state_rewind);
	tcase_add_loop_test(tc, new_ring, 0, RINGS);
	tcase_add_loop_test(tc, differential, 0, 2 * sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(tc, same_notifications, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
