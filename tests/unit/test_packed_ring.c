/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues. */
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
	RING_AT = 0x1000,
	SIZE = 7,	    /* no power of two */
	TABLE_AT = 0xb0000, /* indirect tables */
	DATA_AT = 0xc0000,
	REGION_END = 0x200000,
	OTHER_REGION = 0x400000,
	OTHER_END = 0x410000,
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	TABLE = VRING_DESC_F_INDIRECT,
	AVAIL = 0x80, /* 2.8.1 */
	USED = 0x8000,
	WRAP = 0x8000, /* in a position */
	ENABLE = 0,    /* 2.8.10 */
	DISABLE = 1,
	DESC = 2,
	RESERVED = 3,
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
}

static void teardown(void)
{
	memory_destroy(&mem);
}

static void start_sized(uint16_t size, uint16_t position, uint64_t features)
{
	struct ring_state state;

	driver_packed_init(&driver, &mem, gpa(RING_AT), size, features & EVENT_IDX, position);
	state = driver_ring_state(&driver);
	ck_assert_int_eq(ring_start(&ring, &mem, &state, PACKED | features), 0);
	ck_assert_ptr_null(ring.broken);
}

static void start_at(uint16_t position, uint64_t features)
{
	start_sized(SIZE, position, features);
}

static void start(uint64_t features)
{
	start_at(WRAP, features);
}

static void put(uint64_t addr, uint32_t len, unsigned int flags, unsigned int id)
{
	driver_put(&driver, addr, len, flags, id);
}

static struct vring_packed_desc *table_at(uint64_t at, unsigned int n)
{
	return memory_translate(&mem, gpa(at), n * sizeof(struct vring_packed_desc));
}

static struct vring_packed_desc entry(uint64_t addr, uint32_t len, unsigned int flags)
{
	/* 2.8.7: an id has no meaning there. */
	return (struct vring_packed_desc){addr, len, 0x5555, (uint16_t)flags};
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
	driver_expose(&driver);
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_ptr_nonnull(ring.broken);
	ck_assert_str_eq(ring.broken, why);
	/* It never heals, whatever the driver does. */
	for (unsigned int i = 0; i < SIZE; i++)
		put(DATA_AT, 1, 0, i);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_str_eq(ring.broken, why);
}

/* --- start --- */

static const char bad_size[] = "the size is not between 1 and 32768";
static const char bad_desc[] = "the descriptor area is not aligned or not in memory";
static const char bad_driver[] = "the driver area is not aligned or not in memory";
static const char bad_device[] = "the device area is not aligned or not in memory";
static const char bad_position[] = "the ring begins past its end";

static const struct {
	struct ring_state state;
	const char *why; /* NULL: it starts */
} starts[] = {
	{{0, {0x1000}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_size},
	{{32769, {0x1000}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_size},
	{{65535, {0x1000}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_size},
	{{1, {0x1000}, {0x2000}, {0x3000}, WRAP, WRAP}, NULL},
	{{3, {0x1000}, {0x2000}, {0x3000}, WRAP, WRAP}, NULL},
	{{32767, {0x1000}, {0x90000}, {0xb0000}, WRAP, WRAP}, NULL},
	{{32768, {0x1000}, {0x90000}, {0xb0000}, WRAP, WRAP}, NULL},
	/* 2.8.10.1 */
	{{8, {0x1008}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_desc},
	{{8, {0x1010}, {0x2000}, {0x3000}, WRAP, WRAP}, NULL},
	{{8, {0x1000}, {0x2002}, {0x3000}, WRAP, WRAP}, bad_driver},
	{{8, {0x1000}, {0x2004}, {0x3000}, WRAP, WRAP}, NULL},
	{{8, {0x1000}, {0x2000}, {0x3002}, WRAP, WRAP}, bad_device},
	{{8, {0x1000}, {0x2000}, {0x3004}, WRAP, WRAP}, NULL},
	{{8, {REGION_END}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_desc},
	{{8, {REGION_END - 112}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_desc},
	{{8, {REGION_END - 128}, {0x2000}, {0x3000}, WRAP, WRAP}, NULL},
	{{8, {~0ULL - 15}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_desc},
	{{32768, {REGION_END - 0x80000 + 16}, {0x2000}, {0x3000}, WRAP, WRAP}, bad_desc},
	{{8, {0x1000}, {REGION_END}, {0x3000}, WRAP, WRAP}, bad_driver},
	{{8, {0x1000}, {REGION_END - 4}, {0x3000}, WRAP, WRAP}, NULL},
	{{8, {0x1000}, {0x2000}, {REGION_END}, WRAP, WRAP}, bad_device},
	{{8, {0x1000}, {0x2000}, {REGION_END - 4}, WRAP, WRAP}, NULL},
	{{8, {OTHER_REGION}, {OTHER_REGION + 0x1000}, {OTHER_REGION + 0x2000}, WRAP, WRAP}, NULL},
	/* Positions, both wrap counters. */
	{{8, {0x1000}, {0x2000}, {0x3000}, 7, 7}, NULL},
	{{8, {0x1000}, {0x2000}, {0x3000}, WRAP | 7, WRAP | 7}, NULL},
	{{8, {0x1000}, {0x2000}, {0x3000}, 8, 7}, bad_position},
	{{8, {0x1000}, {0x2000}, {0x3000}, WRAP | 8, 7}, bad_position},
	{{8, {0x1000}, {0x2000}, {0x3000}, 7, 8}, bad_position},
	{{8, {0x1000}, {0x2000}, {0x3000}, 7, WRAP | 8}, bad_position},
	{{8, {0x1000}, {0x2000}, {0x3000}, 0xffff, 0xffff}, bad_position},
	{{32768, {0x1000}, {0x90000}, {0xb0000}, 0xffff, 0x7fff}, NULL},
};

START_TEST(starting)
{
	const struct ring_state *state = &starts[_i].state;
	int ret = ring_start(&ring, &mem, state, PACKED);

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

/* At each place of the ring, so also over its end, in both kinds of laps. */
START_TEST(chain_of_pieces)
{
	const uint16_t position = (uint16_t)(_i / SIZE * WRAP | _i % SIZE);

	start_at(position, 0);
	ck_assert_int_eq(pop(), 0);
	put(DATA_AT, 12, NEXT, 90);
	put(DATA_AT + 0x1001, 100, NEXT, 91); /* buffers need no alignment */
	put(OTHER_REGION, 7, NEXT | WRITE, 92);
	put(OTHER_END - 9, 9, WRITE, 3);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 3); /* 2.8.6: the last one's */
	ck_assert_uint_eq(chain.position, position);
	ck_assert_uint_eq(chain.slots, 4);
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
	ck_assert_uint_eq(ring.state.next_avail, driver.avail_idx);
	ck_assert_int_eq(pop(), 0);
}
END_TEST

START_TEST(empty_pieces)
{
	start(0);
	put(0xdead0000dead0000, 0, NEXT, 0);
	put(DATA_AT, 5, NEXT, 0);
	put(0xdead0000dead0000, 0, NEXT | WRITE, 0);
	put(DATA_AT, 6, WRITE, 1);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.n_out, 1);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(chain.slots, 4); /* they take up room all the same */
	ck_assert_uint_eq(iov[0].iov_len, 5);
	ck_assert_uint_eq(iov[1].iov_len, 6);
}
END_TEST

/* 2.8.1: AVAIL as the wrap counter is and USED not so. What used looks like is not available. */
START_TEST(available_bits)
{
	const unsigned int flags[] = {0, AVAIL, USED, AVAIL | USED};
	const uint16_t position = _i / 4 ? WRAP | 2 : 2;

	start_at(position, 0);
	driver.ring[2] = (struct vring_packed_desc){DATA_AT, 1, 0, (uint16_t)flags[_i % 4]};
	ck_assert_int_eq(pop(), flags[_i % 4] == (position & WRAP ? AVAIL : USED));
	ck_assert_ptr_null(ring.broken);
}
END_TEST

START_TEST(not_before_exposed)
{
	start(0);
	put(DATA_AT, 1, NEXT, 0);
	put(DATA_AT, 2, 0, 1);
	put(DATA_AT, 3, 0, 2);
	ck_assert_int_eq(pop(), 0);
	ck_assert(!ring_enable_kicks(&ring));
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 0);
}
END_TEST

START_TEST(longest_chain)
{
	start_at((uint16_t)(_i * WRAP | 3), 0);
	for (unsigned int i = 0; i < SIZE; i++)
		put(DATA_AT + i, 1, i < SIZE - 1 ? NEXT : 0, i);
	driver_expose(&driver);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, SIZE), 1);
	ck_assert_uint_eq(chain.n_out, SIZE);
	ck_assert_uint_eq(chain.slots, SIZE);
	ck_assert_uint_eq(chain.id, SIZE - 1);
	/* The same place, another lap. */
	ck_assert_uint_eq(ring.state.next_avail, !_i * WRAP | 3);
	ck_assert_int_eq(pop(), 0);
	ring_push(&ring, &chain, 0);
	ring_publish(&ring);
	ck_assert_uint_eq(ring.state.next_used, !_i * WRAP | 3);
}
END_TEST

START_TEST(too_many_pieces_stay_available)
{
	start_at(WRAP | (SIZE - 1), 0);
	put(DATA_AT, 1, NEXT, 0);
	put(DATA_AT, 2, NEXT, 0);
	put(DATA_AT, 3, 0, 5);
	driver_expose(&driver);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, 2), -ENOBUFS);
	ck_assert_ptr_null(ring.broken);
	ck_assert_uint_eq(ring.state.next_avail, WRAP | (SIZE - 1));
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, 3), 1);
	ck_assert_uint_eq(chain.n_out, 3);
	ck_assert_uint_eq(chain.id, 5);
}
END_TEST

START_TEST(full_ring)
{
	start_at(3, 0);
	for (uint16_t i = 0; i < SIZE; i++)
		put(DATA_AT + i, 1, 0, SIZE - 1u - i);
	driver_expose(&driver);
	for (uint16_t i = 0; i < SIZE; i++) {
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.id, SIZE - 1 - i);
		ck_assert_uint_eq(chain.position, driver_advance(&driver, 3, i));
	}
	ck_assert_int_eq(pop(), 0);
}
END_TEST

static const uint16_t sizes[] = {1, 2, 3, 7, 8, 255, 256, 32767, 32768};

/* Chains of all lengths that fit, through many laps. */
START_TEST(positions_wrap)
{
	const uint16_t size = sizes[_i];
	const unsigned int longest = size < 2 * SIZE ? size : 2 * SIZE;
	uint32_t id, len;

	start_sized(size, WRAP, _i % 2 ? EVENT_IDX : 0);
	for (unsigned int n = 0, done = 0; done < 4u * size + 10000; n++) {
		unsigned int room = size, chains = 0;

		for (unsigned int slots; room; room -= slots, chains++) {
			slots = (n + chains) % longest + 1;
			if (slots > room)
				break;
			for (unsigned int i = 1; i < slots; i++)
				put(DATA_AT, 1, NEXT | WRITE, 0xffff);
			put(DATA_AT, 1, WRITE, chains);
			done += slots;
		}
		driver_expose(&driver);
		for (unsigned int i = 0; i < chains; i++) {
			MUST(pop() == 1);
			MUST(chain.id == i);
			MUST(chain.slots == (n + i) % longest + 1);
			ring_push(&ring, &chain, n + i);
		}
		MUST(pop() == 0);
		MUST(!driver_used(&driver, &id, &len));
		ring_publish(&ring);
		for (unsigned int i = 0; i < chains; i++) {
			MUST(driver_used(&driver, &id, &len));
			MUST(id == i);
			MUST(len == n + i);
		}
		MUST(!driver_used(&driver, &id, &len));
		MUST(ring.state.next_avail == driver.avail_idx);
		MUST(ring.state.next_used == driver.last_used);
	}
}
END_TEST

START_TEST(rewind_gives_back)
{
	start_at(SIZE - 2, 0);
	for (unsigned int i = 0; i < 3; i++) {
		put(DATA_AT, 1, NEXT, 0);
		put(DATA_AT, 1, 0, i);
	}
	driver_expose(&driver);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 0);
	ring_rewind(&ring, WRAP | 0); /* the second one's */
	for (unsigned int i = 1; i < 3; i++) {
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.id, i);
	}
	ck_assert_int_eq(pop(), 0);
}
END_TEST

/* Each datapath serves one chain and gives the next one back: through several laps. */
START_TEST(goes_on_where_another_stopped)
{
	static const struct driver_piece pieces[] = {{DATA_AT, 1, false}, {DATA_AT + 1, 9, true}};
	const uint64_t features = PACKED | (_i ? EVENT_IDX : 0);
	struct ring_state state;
	uint32_t id, len, wraps = 0;

	start(features);
	for (unsigned int n = 0; n < 10 * SIZE; n++) {
		while (driver_add_chain(&driver, pieces, 2) >= 0)
			;
		driver_expose(&driver);
		ck_assert_int_eq(pop(), 1);
		ring_push(&ring, &chain, n);
		ck_assert_int_eq(pop(), 1);
		ring_rewind(&ring, chain.position);
		driver_set_used_event(&driver, driver.last_used);
		ck_assert(ring_publish(&ring));
		state = ring.state;
		ck_assert_uint_eq(state.next_avail, state.next_used);
		ck_assert(driver_used(&driver, &id, &len));
		ck_assert_uint_eq(len, n);
		ck_assert(!driver_used(&driver, &id, &len));
		ck_assert_uint_eq(state.next_used, driver.last_used);
		ck_assert_int_eq(ring_start(&ring, &mem, &state, features), 0);
		wraps |= state.next_used & WRAP ? 2 : 1;
	}
	ck_assert_uint_eq(wraps, 3);
}
END_TEST

/* --- what breaks a ring --- */

/* All descriptors, and the last one goes on. */
START_TEST(chain_without_end)
{
	start_at((uint16_t)_i, 0);
	for (unsigned int i = 0; i < SIZE; i++)
		put(DATA_AT, _i ? 1 : 0, NEXT, 0);
	assert_breaks("a chain is longer than the ring");
}
END_TEST

START_TEST(chain_without_end_in_the_smallest_ring)
{
	start_sized(1, WRAP, 0);
	put(DATA_AT, 1, NEXT, 0);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), -EPROTO);
	ck_assert_str_eq(ring.broken, "a chain is longer than the ring");
}
END_TEST

START_TEST(readable_after_writable)
{
	start(0);
	put(DATA_AT, 1, NEXT | WRITE, 0);
	put(DATA_AT, 1, 0, 0);
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
	put(outside[_i].addr, outside[_i].len, 0, 0);
	assert_breaks("a descriptor points outside of memory");
}
END_TEST

/* --- indirect tables --- */

START_TEST(indirect)
{
	const uint64_t at = TABLE_AT + (uint64_t)_i; /* no alignment is asked of a table */
	const struct vring_packed_desc table[] = {
		/* 2.8.7: of flags only WRITE counts. */
		entry(DATA_AT, 12, NEXT),
		entry(DATA_AT + 100, 50, TABLE | AVAIL),
		entry(DATA_AT + 200, 60, WRITE | NEXT | USED),
		entry(0, 0, WRITE),
	};

	start_at(SIZE - 1, INDIRECT);
	memory_write(&mem, gpa(at), table, sizeof(table));
	/* 2.8.7: WRITE is ignored beside INDIRECT. */
	put(at, sizeof(table), TABLE | (_i % 2 ? WRITE : 0), 5);
	put(DATA_AT, 1, 0, 6);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 5);
	ck_assert_uint_eq(chain.slots, 1);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(chain.out_len, 62);
	ck_assert_uint_eq(chain.in_len, 60);
	ck_assert_ptr_eq(iov[0].iov_base, host(DATA_AT));
	ck_assert_uint_eq(iov[1].iov_len, 50);
	ck_assert_uint_eq(iov[2].iov_len, 60);
	ck_assert_uint_eq(ring.state.next_avail, WRAP);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.id, 6);
}
END_TEST

/* 2.8.19: a chain, so a table, is no longer than the ring. */
START_TEST(indirect_length)
{
	unsigned int n = (unsigned int)_i;
	struct vring_packed_desc *table = table_at(TABLE_AT, n);

	start(INDIRECT);
	for (unsigned int i = 0; i < n; i++)
		table[i] = entry(DATA_AT, 1, 0);
	put(TABLE_AT, n * 16, TABLE, 0);
	if (n > SIZE) {
		assert_breaks("a chain is longer than the ring");
		return;
	}
	driver_expose(&driver);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, n - 1), -ENOBUFS);
	ck_assert_uint_eq(ring.state.next_avail, WRAP);
	ck_assert_int_eq(ring_pop(&ring, &chain, iov, n), 1);
	ck_assert_uint_eq(chain.n_out, n);
}
END_TEST

START_TEST(indirect_not_negotiated)
{
	start(EVENT_IDX);
	put(TABLE_AT, 16, TABLE, 0);
	assert_breaks("an indirect descriptor was not negotiated");
}
END_TEST

/* 2.8.5: a list has one kind of descriptors only. */
START_TEST(indirect_in_a_chain)
{
	start(INDIRECT);
	*table_at(TABLE_AT, 1) = entry(DATA_AT, 1, 0);
	if (_i) {
		put(DATA_AT, 1, NEXT, 0);
		put(TABLE_AT, 16, TABLE, 0);
	} else {
		put(TABLE_AT, 16, TABLE | NEXT, 0);
		put(DATA_AT, 1, 0, 0);
	}
	assert_breaks("an indirect descriptor is in a chain");
}
END_TEST

START_TEST(indirect_odd_length)
{
	static const uint32_t lengths[] = {0, 1, 15, 17, 0xffffffff};

	start(INDIRECT);
	put(TABLE_AT, lengths[_i], TABLE, 0);
	assert_breaks("an indirect table has an odd length");
}
END_TEST

START_TEST(indirect_outside)
{
	start(INDIRECT);
	put(_i ? REGION_END - 16 : REGION_END, 32, TABLE, 0);
	assert_breaks("an indirect table is outside of memory");
}
END_TEST

START_TEST(indirect_entry_outside)
{
	struct vring_packed_desc *table = table_at(TABLE_AT, 2);

	start(INDIRECT);
	table[0] = entry(DATA_AT, 1, 0);
	table[1] = entry(outside[_i].addr, outside[_i].len, 0);
	put(TABLE_AT, 32, TABLE, 0);
	assert_breaks("a descriptor points outside of memory");
}
END_TEST

START_TEST(indirect_order)
{
	struct vring_packed_desc *table = table_at(TABLE_AT, 2);

	start(INDIRECT);
	table[0] = entry(DATA_AT, 1, WRITE);
	table[1] = entry(DATA_AT, 1, 0);
	put(TABLE_AT, 32, TABLE, 0);
	assert_breaks("a device-readable descriptor follows a writable one");
}
END_TEST

/* --- what used looks like --- */

START_TEST(used_descriptor)
{
	const bool wrap = _i & 1;
	const uint32_t written = _i & 2 ? 4 : 0;

	start_at((uint16_t)(wrap * WRAP | 2), 0);
	put(DATA_AT, 8, NEXT, 0);
	put(DATA_AT + 8, 9, WRITE, 0x1234);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ring_push(&ring, &chain, written);
	ring_publish(&ring);
	/* 2.8.6: one for the chain, in its first one's place; 2.8.1: both bits are alike. */
	ck_assert_uint_eq(driver.ring[2].id, 0x1234);
	ck_assert_uint_eq(driver.ring[2].len, written);
	/* 2.8.3: WRITE says whether there was anything written. */
	ck_assert_uint_eq(driver.ring[2].flags, (wrap ? AVAIL | USED : 0) | (written ? WRITE : 0));
	ck_assert_uint_eq(ring.state.next_used, wrap * WRAP | 4);
	/* The rest stays as it was. */
	ck_assert_uint_eq(driver.ring[3].addr, DATA_AT + 8);
	ck_assert_uint_eq(driver.ring[3].flags, (wrap ? AVAIL : USED) | WRITE);
}
END_TEST

/* 2.8.9: of a batch the first one is marked last. */
START_TEST(batch_shows_at_once)
{
	uint32_t id, len;

	start_at(SIZE - 2, 0);
	for (unsigned int i = 0; i < 4; i++)
		put(DATA_AT, 8, WRITE, i);
	driver_expose(&driver);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_int_eq(pop(), 1);
		ring_push(&ring, &chain, i + 1);
		ck_assert_uint_eq(ring.state.next_used, SIZE - 2);
		ck_assert(!driver_used(&driver, &id, &len));
	}
	/* As the driver made it, but for the first one. */
	ck_assert_uint_eq(driver.ring[SIZE - 2].flags, USED | WRITE);
	ck_assert_uint_eq(driver.ring[SIZE - 1].flags, WRITE);
	ck_assert_uint_eq(driver.ring[0].flags, AVAIL | USED | WRITE);
	ck_assert_uint_eq(driver.ring[1].flags, AVAIL | USED | WRITE);
	ring_publish(&ring);
	ck_assert_uint_eq(ring.state.next_used, WRAP | 2);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert(driver_used(&driver, &id, &len));
		ck_assert_uint_eq(id, i);
		ck_assert_uint_eq(len, i + 1);
	}
	ck_assert(!driver_used(&driver, &id, &len));
	/* And the next batch has a first one of its own. */
	put(DATA_AT, 8, WRITE, 0);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), 1);
	ring_push(&ring, &chain, 9);
	ck_assert(!driver_used(&driver, &id, &len));
	ring_publish(&ring);
	ck_assert(driver_used(&driver, &id, &len));
	ck_assert_uint_eq(len, 9);
}
END_TEST

/* --- interrupts --- */

START_TEST(publishing_nothing)
{
	start(_i ? EVENT_IDX : 0);
	ck_assert(!ring_publish(&ring));
	for (unsigned int i = 0; i < SIZE; i++)
		ck_assert_uint_eq(driver.ring[i].flags, 0);
}
END_TEST

/* Use @n descriptors' worth of chains. */
static bool use(unsigned int n)
{
	while (n) {
		uint16_t slots = (uint16_t)(n % 3 + 1 < n ? n % 3 + 1 : n);

		ring_push(&ring, &(struct ring_chain){.slots = slots}, 0);
		n -= slots;
	}
	return ring_publish(&ring);
}

static void ask(unsigned int flags, uint16_t event)
{
	driver.driver_event->off_wrap = event;
	driver.driver_event->flags = (uint16_t)flags;
}

/* It counts until it is settled; but a driver that has found it by itself wants no interrupt. */
START_TEST(shown_and_unsettled)
{
	start(EVENT_IDX);
	use(1);
	ask(DESC, 0x8001);
	for (int i = 0; i < 2; i++) {
		ring_push(&ring, &(struct ring_chain){.slots = 1}, 0);
		ring_show(&ring);
		ck_assert(ring_wants_interrupt(&ring));
	}
	ask(DESC, 0x8003);
	ck_assert(!ring_wants_interrupt(&ring));
	ask(DESC, 0x8002);
	ck_assert(ring_wants_interrupt(&ring));
	ring_settle(&ring);
	ck_assert(!ring_wants_interrupt(&ring));
}
END_TEST

START_TEST(event_flags)
{
	/* The first one, too. */
	start(EVENT_IDX);
	ask(DISABLE, 0);
	ck_assert(!use(1));
	start(0);
	ask(ENABLE, 0);
	ck_assert(use(1));
	ck_assert(use(3));
	ask(DISABLE, 0);
	ck_assert(!use(1));
	/* 2.8.10: not valid without EVENT_IDX. An interrupt too many is the lesser evil. */
	ask(DESC, 0x1234);
	ck_assert(use(1));
	ask(RESERVED, 0x1234);
	ck_assert(use(1));
	/* 2.8.14: the other 14 bits are reserved. */
	ask(0xfffc | DISABLE, 0);
	ck_assert(!use(1));
	ask(0xfffc | ENABLE, 0);
	ck_assert(use(1));
}
END_TEST

START_TEST(event_flags_with_event_idx)
{
	start(EVENT_IDX);
	/* Whatever the event says. */
	ask(ENABLE, 5);
	ck_assert(use(1));
	ck_assert(use(1));
	ask(RESERVED, 5);
	ck_assert(use(1));
	ask(DISABLE, WRAP | 3);
	ck_assert(!use(2)); /* 3, 4 */
	ask(0xfffc | DESC, WRAP | 6);
	ck_assert(!use(1)); /* 5 */
	ck_assert(use(1));  /* 6 */
	ck_assert(!use(1));
}
END_TEST

START_TEST(event_in_the_ring)
{
	start_at(WRAP | 2, EVENT_IDX);
	/* The first one always interrupts: nobody knows what the driver has seen. */
	ask(DESC, 1);
	ck_assert(use(1));
	ask(DESC, WRAP | 3);
	ck_assert(use(1));
	ck_assert(!use(1)); /* the event lies behind */
	ask(DESC, 1);
	ck_assert(!use(3)); /* 5, 6, 0 */
	ck_assert(use(1));  /* 1 */
	ask(DESC, 4);
	ck_assert(!use(2)); /* 2, 3 */
	ck_assert(use(4));  /* 4 and more at once, over the end */
	/* The same index in the lap that is behind, and in the one that comes. */
	ask(DESC, 1);
	ck_assert(!use(2)); /* 1, 2 of a lap with the other counter */
	ask(DESC, WRAP | 2);
	ck_assert(!use(3)); /* 3, 4, 5 */
	ask(DESC, 1);
	ck_assert(use(SIZE)); /* all of it */
}
END_TEST

/* Against counting: an interrupt is due when one of the descriptors just used is the event. */
START_TEST(event_by_counting)
{
	const uint16_t size = sizes[_i];
	uint16_t position = WRAP;

	srand(1);
	start_sized(size, position, EVENT_IDX);
	ask(ENABLE, 0);
	use(1);
	position = driver_advance(&driver, position, 1);
	for (unsigned int n = 0; n < 50000; n++) {
		unsigned int most = size < 64 ? size : 64;
		unsigned int batch = (unsigned int)rand() % most + 1;
		uint16_t event = driver_advance(&driver, position,
						(unsigned int)rand() % (2 * most));
		bool due = false;

		for (unsigned int i = 0; i < batch; i++)
			due |= driver_advance(&driver, position, i) == event;
		ask(DESC, event);
		MUST(use(batch) == due);
		position = driver_advance(&driver, position, batch);
		MUST(ring.state.next_used == position);
	}
}
END_TEST

/* What no driver may ask for does no harm. */
START_TEST(event_past_the_ring)
{
	start(EVENT_IDX);
	ask(DESC, 0);
	use(1);
	ask(DESC, 0x7fff);
	ck_assert(!use(SIZE));
	ck_assert(!use(SIZE));
	ask(DESC, 0xffff);
	ck_assert(!use(SIZE));
	ck_assert(!use(SIZE));
}
END_TEST

/* --- kicks --- */

START_TEST(kick_flags)
{
	start(0);
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.device_event->flags, DISABLE);
	put(DATA_AT, 1, 0, 0);
	ck_assert(!driver_expose(&driver));
	/* It came in the meantime: there was no kick for it. */
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_uint_eq(driver.device_event->flags, ENABLE);
	ck_assert_int_eq(pop(), 1);
	ck_assert(!ring_enable_kicks(&ring));
	put(DATA_AT, 1, 0, 1);
	ck_assert(driver_expose(&driver));
}
END_TEST

START_TEST(kick_event)
{
	start_at(SIZE - 1, EVENT_IDX);
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.device_event->flags, DISABLE);
	ck_assert(!ring_enable_kicks(&ring));
	ck_assert_uint_eq(driver.device_event->flags, DESC);
	ck_assert_uint_eq(driver.device_event->off_wrap, SIZE - 1);
	put(DATA_AT, 1, 0, 0);
	ck_assert(driver_expose(&driver));
	put(DATA_AT, 1, 0, 1);
	ck_assert(!driver_expose(&driver)); /* one kick is enough */
	ck_assert(ring_enable_kicks(&ring));
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 0);
	ck_assert(!ring_enable_kicks(&ring));
	ck_assert_uint_eq(driver.device_event->off_wrap, WRAP | 1);
	put(DATA_AT, 1, NEXT, 0);
	put(DATA_AT, 1, 0, 2);
	ck_assert(driver_expose(&driver));
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.device_event->flags, DISABLE);
}
END_TEST

START_TEST(broken_ring_is_left_alone)
{
	start(_i ? EVENT_IDX : 0);
	put(REGION_END, 1, 0, 0);
	driver_expose(&driver);
	ck_assert_int_eq(pop(), -EPROTO);
	driver.device_event->flags = 0x55;
	driver.device_event->off_wrap = 0x6666;
	ck_assert(!ring_enable_kicks(&ring));
	ring_disable_kicks(&ring);
	ck_assert_uint_eq(driver.device_event->flags, 0x55);
	ck_assert_uint_eq(driver.device_event->off_wrap, 0x6666);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packed_ring");
	TCase *tc = tcase_create("packed ring");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, starting, 0, sizeof(starts) / sizeof(starts[0]));
	tcase_add_loop_test(tc, chain_of_pieces, 0, 2 * SIZE);
	tcase_add_test(tc, empty_pieces);
	tcase_add_loop_test(tc, available_bits, 0, 8);
	tcase_add_test(tc, not_before_exposed);
	tcase_add_loop_test(tc, longest_chain, 0, 2);
	tcase_add_test(tc, too_many_pieces_stay_available);
	tcase_add_test(tc, full_ring);
	tcase_add_loop_test(tc, positions_wrap, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(tc, rewind_gives_back);
	tcase_add_loop_test(tc, goes_on_where_another_stopped, 0, 2);
	tcase_add_loop_test(tc, chain_without_end, 0, 2);
	tcase_add_test(tc, chain_without_end_in_the_smallest_ring);
	tcase_add_test(tc, readable_after_writable);
	tcase_add_loop_test(tc, buffer_outside, 0, sizeof(outside) / sizeof(outside[0]));
	tcase_add_loop_test(tc, indirect, 0, 4);
	tcase_add_loop_test(tc, indirect_length, 1, SIZE + 3);
	tcase_add_test(tc, indirect_not_negotiated);
	tcase_add_loop_test(tc, indirect_in_a_chain, 0, 2);
	tcase_add_loop_test(tc, indirect_odd_length, 0, 5);
	tcase_add_loop_test(tc, indirect_outside, 0, 2);
	tcase_add_loop_test(tc, indirect_entry_outside, 0, sizeof(outside) / sizeof(outside[0]));
	tcase_add_test(tc, indirect_order);
	tcase_add_loop_test(tc, used_descriptor, 0, 4);
	tcase_add_test(tc, batch_shows_at_once);
	tcase_add_loop_test(tc, publishing_nothing, 0, 2);
	tcase_add_test(tc, event_flags);
	tcase_add_test(tc, shown_and_unsettled);
	tcase_add_test(tc, event_flags_with_event_idx);
	tcase_add_test(tc, event_in_the_ring);
	tcase_add_loop_test(tc, event_by_counting, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(tc, event_past_the_ring);
	tcase_add_test(tc, kick_flags);
	tcase_add_test(tc, kick_event);
	tcase_add_loop_test(tc, broken_ring_is_left_alone, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
