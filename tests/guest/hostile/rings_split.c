/* SPDX-License-Identifier: Apache-2.0 */
/* What only split rings have: an index, and descriptors that say which one is next (2.7). */
#include "hostile/hostile.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"

enum {
	LEN = 100,
};

#define SCRATCH ((uintptr_t)scratch)

static struct split_ring *ring(unsigned int queue)
{
	return &net.queues[queue].split;
}

static void set_descriptor(unsigned int at, uint32_t len, uint16_t flags, uint16_t next)
{
	ring(TRANSMIT)->descriptors[at] = (struct split_descriptor){SCRATCH, len, flags, next};
}

/* Make @n heads available, all of them @head, and kick. */
static void show_heads(unsigned int queue, uint16_t head, uint16_t n)
{
	struct split_ring *to = ring(queue);

	for (uint16_t i = 0; i < to->size; i++)
		to->available->ring[i] = head;
	barrier_write();
	to->available_idx = (uint16_t)(to->available_idx + n);
	to->available->idx = to->available_idx;
	barrier_full();
	kick(queue);
}

static void transmit_head(uint64_t head)
{
	show_heads(TRANSMIT, (uint16_t)head, 1);
}

static void receive_head(uint64_t head)
{
	show_heads(RECEIVE, (uint16_t)head, 1);
}

static void same_head(uint64_t n)
{
	set_descriptor(0, LEN, 0, 0);
	show_heads(TRANSMIT, 0, (uint16_t)n);
}

static void index_backwards(uint64_t n)
{
	set_descriptor(0, LEN, 0, 0);
	show_heads(TRANSMIT, 0, 4);
	for (deadline_t d = deadline(PATIENCE_MS); ring(TRANSMIT)->used->idx != 4;)
		expect(!deadline_passed(d), "nothing is sent");
	show_heads(TRANSMIT, 0, (uint16_t)-n);
}

static void receive_index_jumps(uint64_t n)
{
	show_heads(RECEIVE, 0, (uint16_t)n);
}

static void loop(uint64_t n)
{
	for (uint16_t i = 0; i < n; i++)
		set_descriptor(i, LEN, SPLIT_NEXT, (uint16_t)((i + 1) % n));
	transmit_head(0);
}

static void empty_loop(uint64_t n)
{
	for (uint16_t i = 0; i < n; i++)
		set_descriptor(i, 0, SPLIT_NEXT, (uint16_t)((i + 1) % n));
	transmit_head(0);
}

static void next(uint64_t to)
{
	set_descriptor(0, LEN, SPLIT_NEXT, (uint16_t)to);
	transmit_head(0);
}

static void next_without_flag(uint64_t to)
{
	set_descriptor(0, LEN, 0, (uint16_t)to);
	transmit_head(0);
}

/* The whole ring as one chain: no more is allowed. */
static void longest_chain(uint64_t n)
{
	for (uint16_t i = 0; i < n; i++)
		set_descriptor(i, 1, i + 1u < n ? SPLIT_NEXT : 0, (uint16_t)(i + 1));
	transmit_head(0);
}

/* Two chains that have descriptors in common. */
static void chains_share(uint64_t arg)
{
	(void)arg;
	set_descriptor(2, LEN, 0, 0);
	set_descriptor(1, LEN, SPLIT_NEXT, 2);
	set_descriptor(0, LEN, SPLIT_NEXT, 1);
	ring(TRANSMIT)->available->ring[0] = 0;
	ring(TRANSMIT)->available->ring[1] = 1;
	ring(TRANSMIT)->available->ring[2] = 2;
	ring(TRANSMIT)->available->ring[3] = 0;
	barrier_write();
	ring(TRANSMIT)->available->idx = ring(TRANSMIT)->available_idx = 4;
	kick(TRANSMIT);
}

static void show_table(unsigned int n)
{
	show_one(TRANSMIT, SCRATCH, (uint32_t)(n * sizeof(struct split_descriptor)),
		 SPLIT_INDIRECT);
}

static void set_entry(unsigned int at, uint16_t flags, uint16_t to)
{
	set_table(scratch, at, (struct piece){SCRATCH + PAGE_SIZE, LEN, flags}, to);
}

static void table_next(uint64_t to)
{
	set_entry(0, SPLIT_NEXT, (uint16_t)to);
	show_table(2);
}

static void table_loop(uint64_t n)
{
	for (uint16_t i = 0; i < n; i++)
		set_entry(i, SPLIT_NEXT, (uint16_t)((i + 1) % n));
	show_table((unsigned int)n);
}

static void table_in_table(uint64_t flags)
{
	set_table(scratch, 0,
		  (struct piece){SCRATCH + 16, sizeof(struct split_descriptor),
				 SPLIT_INDIRECT | (uint16_t)flags},
		  1);
	set_entry(1, 0, 0);
	show_table(2);
}

/* The table is the ring's own, and its first entry the head that leads to it. */
static void table_is_the_ring(uint64_t arg)
{
	(void)arg;
	ring(TRANSMIT)->descriptors[0] = (struct split_descriptor){
		.addr = (uintptr_t)ring(TRANSMIT)->descriptors,
		.len = QUEUE_SIZE * sizeof(struct split_descriptor),
		.flags = SPLIT_INDIRECT,
	};
	transmit_head(0);
}

static void table_after_piece(uint64_t arg)
{
	(void)arg;
	set_table(scratch, 0, (struct piece){SCRATCH + PAGE_SIZE, LEN, 0}, 0);
	show(TRANSMIT,
	     (struct piece[]){{SCRATCH + PAGE_SIZE, LEN, 0},
			      {SCRATCH, sizeof(struct split_descriptor), SPLIT_INDIRECT}},
	     2);
}

static void tables_in_chain(uint64_t arg)
{
	(void)arg;
	set_entry(0, 0, 0);
	show(TRANSMIT,
	     (struct piece[]){{SCRATCH, sizeof(struct split_descriptor), SPLIT_INDIRECT},
			      {SCRATCH, sizeof(struct split_descriptor), SPLIT_INDIRECT}},
	     2);
}

static void available_flags(uint64_t flags)
{
	ring(TRANSMIT)->available->flags = (uint16_t)flags;
	ring(RECEIVE)->available->flags = (uint16_t)flags;
}

static void event_index(uint64_t value)
{
	for (unsigned int queue = 0; queue < 2; queue++)
		*ring(queue)->used_event = (uint16_t)value;
}

/* What the driver must only read: the device doesn't read it, either. */
static void used_ring_filled(uint64_t value)
{
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		ring(TRANSMIT)->used->ring[i] = (struct split_used_element){
			(uint32_t)value,
			(uint32_t)value,
		};
}

static void used_index(uint64_t value)
{
	set_descriptor(0, LEN, 0, 0);
	ring(TRANSMIT)->used->idx = (uint16_t)value;
	ring(TRANSMIT)->used->flags = (uint16_t)value;
	show_heads(TRANSMIT, 0, 3);
}

static const struct trick tricks[] = {
	{"2.7.13", "a head out of range", transmit_head, QUEUE_SIZE, BREAKS, SPLIT, 0},
	{"2.7.13", "a head far out of range", transmit_head, UINT16_MAX, BREAKS, SPLIT, 0},
	{"2.7.13", "a head out of range, for receiving", receive_head, QUEUE_SIZE, BREAKS,
	 SPLIT | NO_BUFFERS, 0},
	{"2.7.13", "one head as often as the ring is long", same_head, QUEUE_SIZE, COMES_BACK,
	 SPLIT, 0},
	{"2.7.13", "the available index is one too far", same_head, QUEUE_SIZE + 1, BREAKS, SPLIT,
	 0},
	{"2.7.13", "the available index is half a round too far", same_head, 32768, BREAKS, SPLIT,
	 0},
	{"2.7.13", "the available index is too far for receiving", receive_index_jumps,
	 QUEUE_SIZE + 1, BREAKS, SPLIT | NO_BUFFERS, 0},
	{"2.7.6.1", "the available index runs backwards", index_backwards, 1, BREAKS, SPLIT, 0},
	{"2.7.6.1", "the available index runs back to 0", index_backwards, 4, BREAKS, SPLIT, 0},
	{"2.7.6.1", "the available index runs back by a ring", index_backwards, QUEUE_SIZE, BREAKS,
	 SPLIT, 0},
	{"2.7.5.1", "a loop of one descriptor", loop, 1, BREAKS, SPLIT, 0},
	{"2.7.5.1", "a loop of two descriptors", loop, 2, BREAKS, SPLIT, 0},
	{"2.7.5.1", "a loop of all descriptors", loop, QUEUE_SIZE, BREAKS, SPLIT, 0},
	{"2.7.5.1", "a loop of empty descriptors", empty_loop, 3, BREAKS, SPLIT, 0},
	{"2.7.5", "next is out of range", next, QUEUE_SIZE, BREAKS, SPLIT, 0},
	{"2.7.5", "next is far out of range", next, UINT16_MAX, BREAKS, SPLIT, 0},
	{"2.7.5", "next is out of range, and doesn't count", next_without_flag, UINT16_MAX,
	 COMES_BACK, SPLIT, 0},
	{"2.7.5.1", "a chain as long as the ring", longest_chain, QUEUE_SIZE, COMES_BACK, SPLIT, 0},
	{"2.7.5", "chains with descriptors in common", chains_share, 0, COMES_BACK, SPLIT, 0},
	{"2.7.5.3", "next leads out of a table", table_next, 2, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3", "next leads far out of a table", table_next, UINT16_MAX, BREAKS, SPLIT,
	 INDIRECT},
	{"2.7.5.3", "a loop of one in a table", table_next, 0, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3", "a loop of all in a table", table_loop, QUEUE_SIZE, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3", "a large loop in a table", table_loop, 1000, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3.1", "a table in a table", table_in_table, 0, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3.1", "a table in a table, and a next", table_in_table, SPLIT_NEXT, BREAKS, SPLIT,
	 INDIRECT},
	{"2.7.5.3.1", "the table is the ring's own", table_is_the_ring, 0, BREAKS, SPLIT, INDIRECT},
	{"2.7.5.3.1", "a table after a piece", table_after_piece, 0, COMES_BACK, SPLIT, INDIRECT},
	{"2.7.5.3.1", "two tables in a chain", tables_in_chain, 0, BREAKS, SPLIT, INDIRECT},
	{"2.7.6", "reserved flags of the available ring", available_flags, 0xfffe, GOES_ON, SPLIT,
	 0},
	{"2.7.10", "event indices that will not come", event_index, 0x8000, GOES_ON, SPLIT, 0},
	{"2.7.10", "event indices, negotiated, that will not come", event_index, 0x8000, GOES_ON,
	 SPLIT, EVENT_IDX},
	{"2.7.8", "the driver fills the used ring", used_ring_filled, UINT32_MAX, GOES_ON, SPLIT,
	 0},
	{"2.7.8", "the driver writes the used index", used_index, 0x7fff, COMES_BACK, SPLIT, 0},
};

const struct trick_group rings_split_tricks = TRICK_GROUP(tricks);
