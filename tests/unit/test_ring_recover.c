/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring whose server dies at any moment, again and again: the next one finds out from the ring
 * itself where to go on, and every chain returns once, in order.
 */
#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>

#include "tests/unit/driver.h"
#include "tests/unit/must.h"
#include "virtio/ring.h"

#define PACKED	 (1ULL << VIRTIO_F_RING_PACKED)
#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENTS	 (1ULL << VIRTIO_RING_F_EVENT_IDX)

enum {
	STEPS = 100000,
	MEMORY = 0x200000,
	RING_AT = 0x1000,
	TABLES_AT = 0x100000,
	TABLE = 64, /* bytes of an indirect table */
	DATA_AT = 0x8000,
	SIZE_MAX_TESTED = 64,
};

static struct guest_memory mem;
static struct driver_ring driver;
static struct ring ring;
static uint64_t features;
static bool batches;	       /* what is pushed waits to be published */
static unsigned int keep_free; /* so many descriptors the driver doesn't use */

/* Ids of the chains that are with the device, oldest first. */
static int out[SIZE_MAX_TESTED];
static unsigned int n_out;
static struct ring_chain taken[SIZE_MAX_TESTED];
static unsigned int n_taken, n_returned, n_deaths;

static void setup(void)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

static unsigned int dice(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static void begin(uint16_t size, uint64_t with)
{
	struct ring_state state;

	features = with;
	/* Lists of a packed ring: what ring.h says can't be told from a full one. */
	batches = with & INDIRECT || !(with & PACKED);
	keep_free = batches ? 0 : size / 2;
	if (with & PACKED)
		driver_packed_init(&driver, &mem, gpa(RING_AT), size, with & EVENTS, 0x8000);
	else
		driver_ring_init(&driver, &mem, gpa(RING_AT), size, with & EVENTS, 0);
	state = driver_ring_state(&driver);
	ck_assert_int_eq(ring_start(&ring, &mem, &state, features), 0);
	n_out = n_taken = n_returned = n_deaths = 0;
}

/*
 * The driver makes a chain of @n pieces, in a table if it may. It shows one before it makes the
 * next, as drivers do.
 */
static void add(unsigned int n)
{
	struct driver_piece pieces[4];
	/* Each id has a table. */
	unsigned int table = driver.n_free_ids ? driver.free_ids[driver.n_free_ids - 1] : 0;
	uint64_t at = TABLES_AT + (uint64_t)table * TABLE;
	int id;

	driver_expose(&driver);
	if (driver.n_free < n + keep_free)
		return;
	for (unsigned int i = 0; i < n; i++)
		pieces[i] = (struct driver_piece){DATA_AT, 10, true};
	if (features & INDIRECT)
		id = driver_add_indirect(&driver, pieces, n, memory_translate(&mem, gpa(at), TABLE),
					 gpa(at));
	else
		id = driver_add_chain(&driver, pieces, n);
	if (id >= 0)
		out[n_out++] = id;
}

static void take_back(void)
{
	uint32_t id, len;

	if (!driver_used(&driver, &id, &len))
		return;
	MUST(n_out && (int)id == out[0]);
	n_out--;
	memmove(out, out + 1, n_out * sizeof(out[0]));
	n_returned++;
}

static void pop(void)
{
	struct iovec iov[4];
	int ret = ring_pop(&ring, &taken[n_taken], iov, 4);

	MUST(ret >= 0);
	n_taken += (unsigned int)ret;
}

static void push(void)
{
	if (!n_taken)
		return;
	ring_push(&ring, &taken[0], dice(2) ? 5 : 0);
	n_taken--;
	memmove(taken, taken + 1, n_taken * sizeof(taken[0]));
	if (!batches)
		ring_publish(&ring);
}

/* What was taken, or pushed and not published, is forgotten with the server. */
static void die(void)
{
	struct ring_state state = driver_ring_state(&driver);

	state.next_avail = 1234; /* nobody knows */
	state.next_used = 4321;
	MUST(!ring_state_recover(&state, &mem, features, true));
	MUST(state.next_avail == state.next_used);
	MUST(!ring_start(&ring, &mem, &state, features));
	n_taken = 0;
	n_deaths++;
}

static void step(unsigned int least, unsigned int most)
{
	switch (dice(8)) {
	case 0:
	case 1:
		add(least + dice(most - least + 1));
		break;
	case 2:
		driver_expose(&driver);
		break;
	case 3:
		take_back();
		break;
	case 4:
		pop();
		break;
	case 5:
		push();
		break;
	case 6:
		ring_publish(&ring);
		break;
	default:
		if (!dice(4))
			die();
		break;
	}
}

static const uint16_t sizes[] = {4, 8, 16, 64};

static void lose_servers(uint64_t with, unsigned int least, unsigned int most)
{
	/* A list that is about as long as its ring looks the same at two places. */
	for (size_t i = least > 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		srand(1);
		begin(sizes[i], with);
		for (int n = 0; n < STEPS; n++)
			step(least, most);
		ck_assert_uint_gt(n_returned, STEPS / 50);
		ck_assert_uint_gt(n_deaths, STEPS / 50);
		/* The last server lives: all come back. */
		driver_expose(&driver);
		while (n_out) {
			pop();
			push();
			ring_publish(&ring);
			take_back();
		}
		ck_assert_uint_eq(driver.n_free, sizes[i]);
	}
}

START_TEST(split)
{
	lose_servers(0, 1, 3);
	lose_servers(EVENTS, 1, 3);
	lose_servers(INDIRECT, 1, 3);
}
END_TEST

START_TEST(packed_indirect)
{
	lose_servers(PACKED | INDIRECT, 1, 3);
	lose_servers(PACKED | INDIRECT | EVENTS, 1, 3);
}
END_TEST

/* Lists of descriptors, of which only the first shows that the chain was used. */
START_TEST(packed_lists)
{
	lose_servers(PACKED, 2, 3);
	lose_servers(PACKED, 3, 3);
}
END_TEST

/* Who knows what was taken gets the ring as it stood before a batch that is not shown. */
START_TEST(unfinished)
{
	struct ring_state state;
	uint32_t id, len;

	begin(8, PACKED | INDIRECT);
	for (int i = 0; i < 3; i++)
		add(1);
	driver_expose(&driver);
	for (int i = 0; i < 3; i++)
		pop();
	state = driver_ring_state(&driver);
	batches = false;
	push(); /* and published */
	batches = true;
	for (int i = 0; i < _i; i++) {
		ring_push(&ring, &taken[i], 0);
		MUST(!ring_state_recover(&state, &mem, features, false));
		ck_assert_uint_eq(state.next_used, ring.state.next_used);
	}
	MUST(driver_used(&driver, &id, &len));
	MUST(!driver_used(&driver, &id, &len));
	MUST(!ring_state_recover(&state, &mem, features, true));
	ck_assert_uint_eq(state.next_used, ring.used_at);
	for (int i = 0; i < _i; i++)
		MUST(driver_used(&driver, &id, &len));
	MUST(!driver_used(&driver, &id, &len));
}
END_TEST

START_TEST(wrong_areas)
{
	struct ring_state state, before;

	begin(8, 0);
	before = driver_ring_state(&driver);
	before.next_avail = 7;
	state = before;
	state.device = before.device = gpa(MEMORY);
	ck_assert_int_eq(ring_state_recover(&state, &mem, 0, true), -EINVAL);
	ck_assert_uint_eq(state.next_avail, 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_recover");
	TCase *tc = tcase_create("ring_recover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, split);
	tcase_add_test(tc, packed_indirect);
	tcase_add_test(tc, packed_lists);
	tcase_add_loop_test(tc, unfinished, 0, 3);
	tcase_add_test(tc, wrong_areas);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
