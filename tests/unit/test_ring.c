/* SPDX-License-Identifier: Apache-2.0 */
/* The two formats of a ring side by side: the same operations must move the same bytes. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/must.h"
#include "tests/unit/ring_pair.h"

enum {
	STEPS = 40000,
};

/* The next random number below @n. */
static unsigned int dice(unsigned int n)
{
	return (unsigned int)rand() % n;
}

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

static const uint16_t sizes[] = {1, 2, 4, 8, 32, 256};

START_TEST(differential)
{
	const uint64_t features = INDIRECT | (_i % 2 ? EVENT_IDX : 0);
	const uint16_t size = sizes[_i / 2];

	srand(42u + (unsigned int)_i);
	pair_start(size, features);
	for (int step = 0; step < STEPS; step++)
		pair_step(size, features);
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
	pair_start(8, features);
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
