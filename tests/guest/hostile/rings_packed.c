/* SPDX-License-Identifier: Apache-2.0 */
/* What only packed rings have: flags that say whose a descriptor is, and event areas (2.8). */
#include "hostile/hostile.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"

enum {
	LEN = 100,
	QUIET = 5, /* ms */
};

#define SCRATCH ((uintptr_t)scratch)

static struct packed_ring *ring(void)
{
	return &net.queues[TRANSMIT].packed;
}

/* Write @n descriptors from the beginning of the ring, and kick. */
static void fill(unsigned int n, uint32_t len, uint16_t id, uint16_t flags)
{
	for (unsigned int i = 0; i < n; i++) {
		ring()->descriptors[i].addr = SCRATCH;
		ring()->descriptors[i].len = len;
		ring()->descriptors[i].id = id;
		barrier_write();
		ring()->descriptors[i].flags = flags;
	}
	barrier_full();
	kick(TRANSMIT);
}

static void chain_of_all(uint64_t len)
{
	fill(QUEUE_SIZE, (uint32_t)len, 0, PACKED_AVAIL | PACKED_NEXT);
}

/* The chain ends in descriptors that were never written, or by the last lap. */
static void chain_into_nothing(uint64_t n)
{
	fill((unsigned int)n, LEN, 0, PACKED_AVAIL | PACKED_NEXT);
}

static void id_is(uint64_t id)
{
	fill(1, LEN, (uint16_t)id, PACKED_AVAIL);
	for (deadline_t d = deadline(PATIENCE_MS); !(ring()->descriptors[0].flags & PACKED_USED);)
		expect(!deadline_passed(d), "nothing is sent");
	expect(ring()->descriptors[0].id == id, "the ID is %#x, not %#lx",
	       ring()->descriptors[0].id, id);
}

static void same_id(uint64_t id)
{
	fill(QUEUE_SIZE, LEN, (uint16_t)id, PACKED_AVAIL);
	for (deadline_t d = deadline(PATIENCE_MS);
	     !(ring()->descriptors[QUEUE_SIZE - 1].flags & PACKED_USED);)
		expect(!deadline_passed(d), "nothing is sent");
}

/* Whose both bits are alike is not available. */
static void not_available(uint64_t flags)
{
	fill(QUEUE_SIZE, UINT32_MAX, 0, (uint16_t)flags);
	pause_ms(QUIET);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		expect(ring()->descriptors[i].len == UINT32_MAX, "descriptor %u is used", i);
	expect(!is_broken(), "the device breaks");
}

/* Only the second one is available. */
static void hole_in_ring(uint64_t arg)
{
	(void)arg;
	ring()->descriptors[1].addr = SCRATCH;
	ring()->descriptors[1].len = LEN;
	ring()->descriptors[1].flags = PACKED_AVAIL;
	barrier_full();
	kick(TRANSMIT);
	pause_ms(QUIET);
	expect(ring()->descriptors[1].flags == PACKED_AVAIL, "it is used");
}

/* The lap after this one is available already, in what is used. */
static void next_lap(uint64_t arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 2 * QUEUE_SIZE; i++)
		ring()->descriptors[i % QUEUE_SIZE].flags = i < QUEUE_SIZE ? PACKED_AVAIL
									   : PACKED_USED;
	barrier_full();
	kick(TRANSMIT);
}

static void indirect_in_chain(uint64_t arg)
{
	(void)arg;
	show(TRANSMIT, (struct piece[]){{SCRATCH, LEN, 0}, {SCRATCH, 16, PACKED_INDIRECT}}, 2);
}

static void chain_of_indirect(uint64_t arg)
{
	(void)arg;
	show(TRANSMIT,
	     (struct piece[]){{SCRATCH, 16, PACKED_INDIRECT}, {SCRATCH, 16, PACKED_INDIRECT}}, 2);
}

/* 2.8.7: of flags in a table only WRITE counts. */
static void table_flags(uint64_t flags)
{
	set_table(scratch, 0, (struct piece){SCRATCH + PAGE_SIZE, LEN, (uint16_t)flags}, 0);
	show_one(TRANSMIT, SCRATCH, 16, PACKED_INDIRECT);
}

static void events(uint64_t value)
{
	for (unsigned int queue = 0; queue < 2; queue++) {
		struct packed_ring *of = &net.queues[queue].packed;

		of->driver_event->offset_wrap = (uint16_t)(value >> 16);
		of->driver_event->flags = (uint16_t)value;
	}
}

/* What only the device writes. */
static void device_events(uint64_t value)
{
	events(value);
	for (unsigned int queue = 0; queue < 2; queue++) {
		struct packed_ring *of = &net.queues[queue].packed;

		of->device_event->offset_wrap = (uint16_t)(value >> 16);
		of->device_event->flags = (uint16_t)value;
	}
	for (int i = 0; i < 10; i++)
		show_one(TRANSMIT, SCRATCH, LEN, 0);
}

static void withdrawn(uint64_t arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		fill(QUEUE_SIZE, LEN, 0, PACKED_AVAIL);
		fill(QUEUE_SIZE, LEN, 0, 0);
	}
}

static const struct trick tricks[] = {
	{"2.8.6", "a chain of all descriptors that doesn't end", chain_of_all, LEN, BREAKS, PACKED,
	 0},
	{"2.8.6", "a chain of empty descriptors that doesn't end", chain_of_all, 0, BREAKS, PACKED,
	 0},
	{"2.8.6", "a chain goes on in what isn't available", chain_into_nothing, 1, ANYTHING,
	 PACKED, 0},
	{"2.8.6", "a chain ends in the last descriptor, which isn't available", chain_into_nothing,
	 QUEUE_SIZE - 1, ANYTHING, PACKED, 0},
	{"2.8.13", "an ID out of range", id_is, QUEUE_SIZE, ANYTHING, PACKED | ONCE, 0},
	{"2.8.13", "an ID far out of range", id_is, UINT16_MAX, ANYTHING, PACKED | ONCE, 0},
	{"2.8.13", "one ID for all buffers", same_id, 5, ANYTHING, PACKED, 0},
	{"2.8.1", "both bits are set before the first lap", not_available,
	 PACKED_AVAIL | PACKED_USED, ANYTHING, PACKED, 0},
	{"2.8.1", "the bits of a later lap", not_available, PACKED_USED, ANYTHING, PACKED, 0},
	{"2.8.1", "no bit is set", not_available, PACKED_NEXT | PACKED_INDIRECT, ANYTHING, PACKED,
	 0},
	{"2.8.1", "a descriptor before the next one", hole_in_ring, 0, ANYTHING, PACKED, 0},
	{"2.8.1", "a lap too far", next_lap, 0, ANYTHING, PACKED, 0},
	{"2.8.1", "what was available is taken back, often", withdrawn, 0, ANYTHING, PACKED, 0},
	{"2.8.19", "a table after a piece", indirect_in_chain, 0, BREAKS, PACKED, INDIRECT},
	{"2.8.19", "a chain of tables", chain_of_indirect, 0, BREAKS, PACKED, INDIRECT},
	{"2.8.7", "a table in a table", table_flags, PACKED_INDIRECT, COMES_BACK, PACKED, INDIRECT},
	{"2.8.7", "all flags in a table", table_flags, 0xfffd, COMES_BACK, PACKED, INDIRECT},
	{"2.8.14", "reserved event flags", events, 3, GOES_ON, PACKED, 0},
	{"2.8.14", "an event by descriptor, not negotiated", events, 2, GOES_ON, PACKED, 0},
	{"2.8.14", "an event out of range", events, 0xffff0002, GOES_ON, PACKED, EVENT_IDX},
	{"2.8.14", "reserved bits of an event", events, 0x7ffffffe, GOES_ON, PACKED, EVENT_IDX},
	{"2.8.14", "the driver writes the device's events", device_events, 0xffff0002, COMES_BACK,
	 PACKED, EVENT_IDX},
};

const struct trick_group rings_packed_tricks = TRICK_GROUP(tricks);
