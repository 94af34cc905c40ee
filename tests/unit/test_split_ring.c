/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues. */
#include "virtio/ring.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>

#include "tests/unit/driver.h"
#include "tests/unit/must.h"

#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

enum {
	RING_AT = 0x1000,
	SIZE = 8,
	TABLE_AT = 0x8000, /* indirect tables */
	DATA_AT = 0x10000,
	REGION_END = 0x200000,
	OTHER_REGION = 0x400000,
	OTHER_END = 0x410000,
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	TABLE = VRING_DESC_F_INDIRECT,
};

static struct guest_memory mem;
static struct driver_ring driver;
static struct ring ring;
static struct ring_chain chain;
static struct iovec iov[2 * SIZE];

static void setup(void)
{
	static const struct memory_range ranges[] = {{0, REGION_END},
						     {OTHER_REGION, OTHER_END - OTHER_REGION}};
	static const struct memory_config config;

	ck_assert_int_eq(memory_create(&mem, ranges, 2, &config, NULL), 0);
	driver_ring_init(&driver, &mem, gpa(RING_AT), SIZE, false, 0);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

static void start_at(uint16_t index, uint64_t features)
{
	struct ring_state state;

	driver_ring_init(&driver, &mem, gpa(RING_AT), SIZE, features & EVENT_IDX, index);
	state = driver_ring_state(&driver);
	ck_assert_int_eq(ring_start(&ring, &mem, &state, features), 0);
	ck_assert_ptr_null(ring.broken);
}

static void start(uint64_t features)
{
	start_at(0, features);
}

static void describe(unsigned int i, uint64_t addr, uint32_t len, unsigned int flags,
		     unsigned int next)
{
	driver_fill_desc(&driver.desc[i], addr, len, flags, next);
}

static struct vring_desc *table_at(uint64_t at, unsigned int n)
{
	return memory_translate(&mem, gpa(at), n * sizeof(struct vring_desc));
}

static void expose(uint16_t head)
{
	driver_add(&driver, head);
	driver_expose(&driver);
}

static int pop(void)
{
	return ring_pop(&ring, &chain, iov, 2 * SIZE);
}

static void *host(uint64_t addr)
{
	return memory_translate(&mem, gpa(addr), 1);
}

static void assert_breaks(const char *why)
{
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_ptr_nonnull(ring.broken);
	ck_assert_str_eq(ring.broken, why);
	/* It never heals, whatever the driver does. */
	describe(0, DATA_AT, 1, 0, 0);
	expose(0);
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_str_eq(ring.broken, why);
}

/* --- start --- */

static const struct {
	struct ring_state state;
	const char *why; /* NULL: it starts */
} starts[] = {
	{{0, {0x1000}, {0x2000}, {0x3000}, 0, 0}, "the size is not a power of two up to 32768"},
	{{3, {0x1000}, {0x2000}, {0x3000}, 0, 0}, "the size is not a power of two up to 32768"},
	{{65535, {0x1000}, {0x2000}, {0x3000}, 0, 0}, "the size is not a power of two up to 32768"},
	{{1, {0x1000}, {0x2000}, {0x3000}, 0, 0}, NULL},
	{{32768, {0x1000}, {0x90000}, {0xb0000}, 0, 0}, NULL},
	{{8, {0x1008}, {0x2000}, {0x3000}, 0, 0},
	 "the descriptor area is not aligned or not in memory"},
	{{8, {0x1010}, {0x2000}, {0x3000}, 0, 0}, NULL},
	{{8, {REGION_END}, {0x2000}, {0x3000}, 0, 0},
	 "the descriptor area is not aligned or not in memory"},
	{{8, {REGION_END - 127 + 15}, {0x2000}, {0x3000}, 0, 0},
	 "the descriptor area is not aligned or not in memory"},
	{{8, {REGION_END - 128}, {0x2000}, {0x3000}, 0, 0}, NULL},
	{{8, {~0ULL - 15}, {0x2000}, {0x3000}, 0, 0},
	 "the descriptor area is not aligned or not in memory"},
	{{8, {0x1000}, {0x2001}, {0x3000}, 0, 0},
	 "the driver area is not aligned or not in memory"},
	{{8, {0x1000}, {0x2002}, {0x3000}, 0, 0}, NULL},
	/* 6 + 2 * 8 bytes: used_event counts whether it was negotiated or not. */
	{{8, {0x1000}, {REGION_END - 20}, {0x3000}, 0, 0},
	 "the driver area is not aligned or not in memory"},
	{{8, {0x1000}, {REGION_END - 22}, {0x3000}, 0, 0}, NULL},
	{{8, {0x1000}, {0x2000}, {0x3002}, 0, 0},
	 "the device area is not aligned or not in memory"},
	{{8, {0x1000}, {0x2000}, {0x3004}, 0, 0}, NULL},
	/* 6 + 8 * 8 bytes. */
	{{8, {0x1000}, {0x2000}, {REGION_END - 68}, 0, 0},
	 "the device area is not aligned or not in memory"},
	{{8, {0x1000}, {0x2000}, {REGION_END - 72}, 0, 0}, NULL},
	{{8, {OTHER_REGION}, {OTHER_REGION + 0x1000}, {OTHER_REGION + 0x2000}, 0, 0}, NULL},
};

START_TEST(starting)
{
	const struct ring_state *state = &starts[_i].state;
	int ret = ring_start(&ring, &mem, state, 0);

	if (!starts[_i].why) {
		ck_assert_int_eq(ret, 0);
		ck_assert_ptr_null(ring.broken);
		return;
	}
	ck_assert_int_eq(ret, -EINVAL);
	ck_assert_str_eq(ring.broken, starts[_i].why);
	/* Safe to use all the same. */
	ck_assert_int_eq(pop(), -EPROTO);
	ring_disable_kicks(&ring);
	ck_assert(!ring_enable_kicks(&ring));
	ck_assert(!ring_publish(&ring));
}
END_TEST

/* --- pop --- */

START_TEST(chain_of_pieces)
{
	start(0);
	ck_assert_int_eq(pop(), 0);
	describe(3, DATA_AT, 12, NEXT, 6);
	describe(6, DATA_AT + 0x1001, 100, NEXT, 1); /* buffers need no alignment */
	describe(1, OTHER_REGION, 7, NEXT | WRITE, 2);
	describe(2, OTHER_END - 9, 9, WRITE, 77); /* next is not looked at without NEXT */
	expose(3);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 3);
	ck_assert_uint_eq(chain.position, 0);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.n_in, 2);
	ck_assert_uint_eq(chain.out_len, 112);
	ck_assert_uint_eq(chain.in_len, 16);
	ck_assert_ptr_eq(iov[0].iov_base, host(DATA_AT));
	ck_assert_uint_eq(iov[0].iov_len, 12);
	ck_assert_ptr_eq(iov[1].iov_base, host(DATA_AT + 0x1001));
	ck_assert_uint_eq(iov[1].iov_len, 100);
	ck_assert_ptr_eq(iov[2].iov_base, host(OTHER_REGION));
	ck_assert_uint_eq(iov[2].iov_len, 7);
	ck_assert_ptr_eq(iov[3].iov_base, host(OTHER_END - 9));
	ck_assert_uint_eq(iov[3].iov_len, 9);
	ck_assert_int_eq(pop(), 0);
}
END_TEST

START_TEST(empty_pieces)
{
	start(0);
	describe(0, 0xdead0000dead0000, 0, NEXT, 1);
	describe(1, DATA_AT, 5, NEXT, 2);
	describe(2, 0xdead0000dead0000, 0, NEXT | WRITE, 3);
	describe(3, DATA_AT, 6, WRITE, 0);
	expose(0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.n_out, 1);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(iov[0].iov_len, 5);
	ck_assert_uint_eq(iov[1].iov_len, 6);
}
END_TEST

START_TEST(not_before_exposed)
{
	start(0);
	describe(0, DATA_AT, 1, 0, 0);
	driver_add(&driver, 0);
	ck_assert_int_eq(pop(), 0);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
}
END_TEST

START_TEST(longest_chain)
{
	start(0);
	for (unsigned int i = 0; i < SIZE; i++)
		describe(i, DATA_AT + i, 1, i < SIZE - 1 ? NEXT : 0, i + 1);
	expose(0);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, SIZE), 1);
	ck_assert_uint_eq(chain.n_out, SIZE);
}
END_TEST

START_TEST(too_many_pieces_stay_available)
{
	start(0);
	describe(0, DATA_AT, 1, NEXT, 1);
	describe(1, DATA_AT, 2, NEXT, 2);
	describe(2, DATA_AT, 3, 0, 0);
	expose(0);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, 2), -ENOBUFS);
	ck_assert_ptr_null(ring.broken);
	ck_assert_uint_eq(ring.state.next_avail, 0);
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, 3), 1);
	ck_assert_uint_eq(chain.n_out, 3);
}
END_TEST

START_TEST(full_ring)
{
	start_at(65533, 0);
	for (uint16_t i = 0; i < SIZE; i++) {
		describe(i, DATA_AT + i, 1, 0, 0);
		driver_add(&driver, (uint16_t)(SIZE - 1 - i));
	}
	driver_expose(&driver);
	for (uint16_t i = 0; i < SIZE; i++) {
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.id, SIZE - 1 - i);
		ck_assert_uint_eq(chain.position, (uint16_t)(65533 + i));
	}
	ck_assert_int_eq(pop(), 0);
}
END_TEST

START_TEST(indices_wrap)
{
	uint32_t id, len;

	start_at(65000, _i ? EVENT_IDX : 0);
	for (uint16_t i = 0; i < SIZE; i++)
		describe(i, DATA_AT + i, 1, 0, 0);
	for (unsigned int n = 0; n < 70000; n++) {
		uint16_t batch = (uint16_t)(n % SIZE + 1);

		for (uint16_t i = 0; i < batch; i++)
			driver_add(&driver, (uint16_t)((n + i) % SIZE));
		driver_expose(&driver);
		for (uint16_t i = 0; i < batch; i++) {
			MUST(pop() == 1);
			MUST(chain.id == (n + i) % SIZE);
			ring_push(&ring, &chain, n + i);
		}
		MUST(pop() == 0);
		MUST(!driver_used(&driver, &id, &len));
		ring_publish(&ring);
		for (uint16_t i = 0; i < batch; i++) {
			MUST(driver_used(&driver, &id, &len));
			MUST(id == (n + i) % SIZE);
			MUST(len == n + i);
		}
		MUST(!driver_used(&driver, &id, &len));
	}
	MUST(ring.state.next_avail == driver.avail_idx);
	MUST(ring.state.next_used == driver.last_used);
}
END_TEST

START_TEST(rewind_gives_back)
{
	start_at(65534, 0);
	for (uint16_t i = 0; i < 5; i++) {
		describe(i, DATA_AT + i, 1, 0, 0);
		expose(i);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pop(), 1);
	ring_rewind(&ring, 65535);
	ck_assert_uint_eq(ring.state.next_avail, 65535);
	for (uint16_t i = 1; i < 5; i++) {
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.id, i);
	}
	ck_assert_int_eq(pop(), 0);
}
END_TEST

START_TEST(goes_on_where_another_stopped)
{
	struct ring_state state;

	start_at(65535, 0);
	describe(0, DATA_AT, 1, 0, 0);
	describe(1, DATA_AT, 1, 0, 0);
	expose(0);
	expose(1);
	ck_assert_int_eq(pop(), 1);
	ring_push(&ring, &chain, 0);
	ring_publish(&ring);
	state = ring.state;
	ck_assert_uint_eq(state.next_avail, 0);
	ck_assert_uint_eq(state.next_used, 0);
	ck_assert_int_eq(ring_start(&ring, &mem, &state, 0), 0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 1);
	ring_push(&ring, &chain, 0);
	ck_assert(ring_publish(&ring));
	ck_assert_uint_eq(driver.used->idx, 1);
	ck_assert_uint_eq(driver.used->ring[65535 % SIZE].id, 0);
	ck_assert_uint_eq(driver.used->ring[0].id, 1);
}
END_TEST

/* --- what breaks a ring --- */

START_TEST(runaway_index)
{
	start_at(65530, 0);
	driver.avail->idx = (uint16_t)(65530 + SIZE + 1);
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_str_eq(ring.broken, "the available index is further ahead than the ring is long");
}
END_TEST

START_TEST(index_goes_back)
{
	start(0);
	describe(0, DATA_AT, 1, 0, 0);
	expose(0);
	ck_assert_int_eq(pop(), 1);
	driver.avail->idx = 0;
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_str_eq(ring.broken, "the available index is further ahead than the ring is long");
}
END_TEST

START_TEST(head_past_the_table)
{
	start(0);
	expose(SIZE);
	assert_breaks("a descriptor index is past the end of its table");
}
END_TEST

START_TEST(next_past_the_table)
{
	start(0);
	describe(0, DATA_AT, 1, NEXT, SIZE);
	expose(0);
	assert_breaks("a descriptor index is past the end of its table");
}
END_TEST

START_TEST(loop)
{
	start(0);
	describe(0, DATA_AT, 1, NEXT, 1);
	describe(1, DATA_AT, _i ? 0 : 1, NEXT, 0);
	expose(0);
	assert_breaks("a chain is longer than the ring (or a loop)");
}
END_TEST

START_TEST(readable_after_writable)
{
	start(0);
	describe(0, DATA_AT, 1, NEXT | WRITE, 1);
	describe(1, DATA_AT, 1, 0, 0);
	expose(0);
	assert_breaks("a device-readable descriptor follows a writable one");
}
END_TEST

static const struct {
	uint64_t addr;
	uint32_t len;
} outside[] = {
	{REGION_END, 1},
	{REGION_END - 1, 2},
	{OTHER_REGION - 1, 1},
	{OTHER_REGION - 1, 2},
	{OTHER_END - 1, 2},
	{~0ULL, 1},
	{~0ULL, 2},
	{DATA_AT, ~0u},
	{0x8000000000000000, 1},
	{DATA_AT, REGION_END},
};

START_TEST(buffer_outside)
{
	start(0);
	describe(0, outside[_i].addr, outside[_i].len, 0, 0);
	expose(0);
	assert_breaks("a descriptor points outside of memory");
}
END_TEST

/* --- indirect tables --- */

START_TEST(indirect)
{
	/* 2.7.5.3: no alignment is asked of a table. */
	const uint64_t at = TABLE_AT + (uint64_t)_i;
	struct vring_desc table[4];

	start(INDIRECT);
	driver_fill_desc(&table[0], DATA_AT, 12, NEXT, 3);
	driver_fill_desc(&table[3], DATA_AT + 100, 50, NEXT, 1);
	driver_fill_desc(&table[1], DATA_AT + 200, 60, WRITE, 2);
	driver_fill_desc(&table[2], 0, 0, 0, 0);
	memory_write(&mem, gpa(at), table, sizeof(table));
	/* 2.7.5.3.2: WRITE is ignored beside INDIRECT. */
	describe(5, at, sizeof(table), TABLE | (_i % 2 ? WRITE : 0), 1);
	expose(5);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 5);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(iov[1].iov_len, 50);
	ck_assert_uint_eq(iov[2].iov_len, 60);
}
END_TEST

START_TEST(indirect_at_the_end_of_a_chain)
{
	struct vring_desc *table = table_at(TABLE_AT, 2);

	start(INDIRECT);
	driver_fill_desc(&table[0], DATA_AT + 100, 2, NEXT, 1);
	driver_fill_desc(&table[1], DATA_AT + 200, 3, WRITE, 0);
	describe(2, DATA_AT, 1, NEXT, 4);
	describe(4, TABLE_AT, 32, TABLE, 0);
	expose(2);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 2);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(iov[0].iov_len, 1);
	ck_assert_uint_eq(iov[1].iov_len, 2);
	ck_assert_uint_eq(iov[2].iov_len, 3);
	ck_assert_int_eq(pop(), 0);
}
END_TEST

/* The table may be longer than the ring, the chain in it not. */
START_TEST(indirect_length)
{
	unsigned int n = (unsigned int)_i;
	struct vring_desc *table = table_at(TABLE_AT, 100);

	start(INDIRECT);
	for (unsigned int i = 0; i < n; i++)
		driver_fill_desc(&table[99 - i], DATA_AT, 1, i < n - 1 ? NEXT : 0, 98 - i);
	driver_fill_desc(&table[0], DATA_AT, 1, NEXT, 99);
	describe(0, TABLE_AT, 100 * 16, TABLE, 0);
	expose(0);
	if (n < SIZE) {
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.n_out, n + 1);
	} else {
		assert_breaks("a chain is longer than the ring (or a loop)");
	}
}
END_TEST

START_TEST(indirect_not_negotiated)
{
	start(EVENT_IDX);
	describe(0, TABLE_AT, 16, TABLE, 0);
	expose(0);
	assert_breaks("an indirect descriptor was not negotiated");
}
END_TEST

START_TEST(indirect_in_indirect)
{
	start(INDIRECT);
	driver_fill_desc(table_at(TABLE_AT, 1), TABLE_AT, 16, TABLE, 0);
	describe(0, TABLE_AT, 16, TABLE, 0);
	expose(0);
	assert_breaks("an indirect table holds an indirect one");
}
END_TEST

/* A table where the ring's own is: by its address alone it looks like the ring's. */
START_TEST(indirect_to_itself)
{
	start(INDIRECT);
	describe(0, RING_AT, SIZE * 16, TABLE, 0);
	expose(0);
	assert_breaks("an indirect table holds an indirect one");
}
END_TEST

START_TEST(indirect_with_next)
{
	start(INDIRECT);
	driver_fill_desc(table_at(TABLE_AT, 1), DATA_AT, 1, 0, 0);
	describe(0, TABLE_AT, 16, TABLE | NEXT, 1);
	describe(1, DATA_AT, 1, 0, 0);
	expose(0);
	assert_breaks("an indirect descriptor has a next one");
}
END_TEST

START_TEST(indirect_odd_length)
{
	static const uint32_t lengths[] = {0, 1, 15, 17, 0xffffffff};

	start(INDIRECT);
	describe(0, TABLE_AT, lengths[_i], TABLE, 0);
	expose(0);
	assert_breaks("an indirect table has an odd length");
}
END_TEST

START_TEST(indirect_outside)
{
	start(INDIRECT);
	describe(0, _i ? REGION_END - 16 : REGION_END, 32, TABLE, 0);
	expose(0);
	assert_breaks("an indirect table is outside of memory");
}
END_TEST

START_TEST(indirect_past_its_table)
{
	struct vring_desc *table = table_at(TABLE_AT, 3);

	start(INDIRECT);
	/* Inside the ring's own table, but not inside this one. */
	driver_fill_desc(&table[0], DATA_AT, 1, NEXT, 2);
	driver_fill_desc(&table[2], DATA_AT, 1, 0, 0);
	describe(0, TABLE_AT, 32, TABLE, 0);
	expose(0);
	assert_breaks("a descriptor index is past the end of its table");
}
END_TEST

START_TEST(indirect_order)
{
	struct vring_desc *table = table_at(TABLE_AT, 1);

	start(INDIRECT);
	driver_fill_desc(&table[0], DATA_AT, 1, 0, 0);
	describe(0, DATA_AT, 1, NEXT | WRITE, 1);
	describe(1, TABLE_AT, 16, TABLE, 0);
	expose(0);
	assert_breaks("a device-readable descriptor follows a writable one");
}
END_TEST

/* --- interrupts --- */

START_TEST(publishing_nothing)
{
	start(_i ? EVENT_IDX : 0);
	ck_assert(!ring_publish(&ring));
	ck_assert_uint_eq(driver.used->idx, 0);
}
END_TEST

static bool use(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		ring_push(&ring, &(struct ring_chain){0}, 0);
	return ring_publish(&ring);
}

START_TEST(no_interrupt_flag)
{
	start(0);
	ck_assert(use(1));
	ck_assert(use(3));
	driver.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ck_assert(!use(1));
	driver.avail->flags = 0;
	ck_assert(use(1));
	/* 2.7.7.2: used_event is ignored. */
	driver_set_used_event(&driver, 1000);
	ck_assert(use(1));
}
END_TEST

START_TEST(used_event)
{
	start_at(65530, EVENT_IDX);
	/* The first one always interrupts: nobody knows what the driver has seen. */
	driver_set_used_event(&driver, 65535);
	ck_assert(use(1));
	/* 2.7.7.2: the flag is ignored. */
	driver.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	driver_set_used_event(&driver, 65531);
	ck_assert(use(1));
	ck_assert(!use(1)); /* the event lies behind */
	driver_set_used_event(&driver, 0);
	ck_assert(!use(3)); /* 65533, 65534, 65535 */
	ck_assert(use(1));  /* entry 0 */
	driver_set_used_event(&driver, 4);
	ck_assert(!use(3)); /* 1, 2, 3 */
	ck_assert(use(5));  /* 4 and more at once */
}
END_TEST

/* It counts until it is settled; but a driver that has found it by itself wants no interrupt. */
START_TEST(shown_and_unsettled)
{
	start_at(65530, EVENT_IDX);
	use(1);
	driver_set_used_event(&driver, 65531);
	for (int i = 0; i < 2; i++) {
		ring_push(&ring, &(struct ring_chain){.slots = 1}, 0);
		ring_show(&ring);
		ck_assert(ring_wants_interrupt(&ring));
	}
	driver_set_used_event(&driver, 65533);
	ck_assert(!ring_wants_interrupt(&ring));
	driver_set_used_event(&driver, 65532);
	ck_assert(ring_wants_interrupt(&ring));
	ring_settle(&ring);
	ck_assert(!ring_wants_interrupt(&ring));
}
END_TEST

/* Against counting: an interrupt is due when one of the entries just written is the event. */
START_TEST(used_event_by_counting)
{
	uint16_t index = 60000;

	srand(1);
	start_at(index, EVENT_IDX);
	use(1);
	index++;
	for (unsigned int n = 0; n < 200000; n++) {
		uint16_t batch = (uint16_t)(rand() % 64 + 1);
		uint16_t event = (uint16_t)(index + rand() % 100 - 20);
		bool due = false;

		for (uint16_t i = 0; i < batch; i++)
			due |= (uint16_t)(index + i) == event;
		driver_set_used_event(&driver, event);
		MUST(use(batch) == due);
		index = (uint16_t)(index + batch);
	}
}
END_TEST

/* --- kicks --- */

START_TEST(no_notify_flag)
{
	start(0);
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.used->flags, VRING_USED_F_NO_NOTIFY);
	describe(0, DATA_AT, 1, 0, 0);
	driver_add(&driver, 0);
	ck_assert(!driver_expose(&driver));
	/* It came in the meantime: there was no kick for it. */
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_uint_eq(driver.used->flags, 0);
	ck_assert_int_eq(pop(), 1);
	ck_assert(!ring_enable_kicks(&ring));
	driver_add(&driver, 0);
	ck_assert(driver_expose(&driver));
}
END_TEST

START_TEST(avail_event)
{
	const uint16_t *event = (const uint16_t *)&driver.used->ring[SIZE];

	start_at(65535, EVENT_IDX);
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.used->flags, 0); /* 2.7.10.2 */
	ck_assert(!ring_enable_kicks(&ring));
	ck_assert_uint_eq(*event, 65535);
	describe(0, DATA_AT, 1, 0, 0);
	driver_add(&driver, 0);
	ck_assert(driver_expose(&driver));
	driver_add(&driver, 0);
	ck_assert(!driver_expose(&driver)); /* one kick is enough */
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 0);
	ck_assert(!ring_enable_kicks(&ring));
	ck_assert_uint_eq(*event, 1);
	driver_add(&driver, 0);
	ck_assert(driver_expose(&driver));
	ck_assert_uint_eq(driver.used->flags, 0);
}
END_TEST

START_TEST(broken_ring_is_left_alone)
{
	start(_i ? EVENT_IDX : 0);
	expose(SIZE);
	ck_assert_int_eq(pop(), -EPROTO);
	driver.used->flags = 0x55;
	driver.used->ring[SIZE].id = 0x12345678;
	ck_assert(!ring_enable_kicks(&ring));
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.used->flags, 0x55);
	ck_assert_uint_eq(driver.used->ring[SIZE].id, 0x12345678);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("split_ring");
	TCase *tc = tcase_create("split ring");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, starting, 0, sizeof(starts) / sizeof(starts[0]));
	tcase_add_test(tc, chain_of_pieces);
	tcase_add_test(tc, empty_pieces);
	tcase_add_test(tc, not_before_exposed);
	tcase_add_test(tc, longest_chain);
	tcase_add_test(tc, too_many_pieces_stay_available);
	tcase_add_test(tc, full_ring);
	tcase_add_loop_test(tc, indices_wrap, 0, 2);
	tcase_add_test(tc, rewind_gives_back);
	tcase_add_test(tc, goes_on_where_another_stopped);
	tcase_add_test(tc, runaway_index);
	tcase_add_test(tc, index_goes_back);
	tcase_add_test(tc, head_past_the_table);
	tcase_add_test(tc, next_past_the_table);
	tcase_add_loop_test(tc, loop, 0, 2);
	tcase_add_test(tc, readable_after_writable);
	tcase_add_loop_test(tc, buffer_outside, 0, sizeof(outside) / sizeof(outside[0]));
	tcase_add_loop_test(tc, indirect, 0, 4);
	tcase_add_test(tc, indirect_at_the_end_of_a_chain);
	tcase_add_loop_test(tc, indirect_length, 1, SIZE + 2);
	tcase_add_test(tc, indirect_not_negotiated);
	tcase_add_test(tc, indirect_in_indirect);
	tcase_add_test(tc, indirect_to_itself);
	tcase_add_test(tc, indirect_with_next);
	tcase_add_loop_test(tc, indirect_odd_length, 0, 5);
	tcase_add_loop_test(tc, indirect_outside, 0, 2);
	tcase_add_test(tc, indirect_past_its_table);
	tcase_add_test(tc, indirect_order);
	tcase_add_loop_test(tc, publishing_nothing, 0, 2);
	tcase_add_test(tc, no_interrupt_flag);
	tcase_add_test(tc, used_event);
	tcase_add_test(tc, shown_and_unsettled);
	tcase_add_test(tc, used_event_by_counting);
	tcase_add_test(tc, no_notify_flag);
	tcase_add_test(tc, avail_event);
	tcase_add_loop_test(tc, broken_ring_is_left_alone, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
