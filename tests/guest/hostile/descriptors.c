/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, in what both formats have in common (2.7.5, 2.8.13). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	LEN = 100,
	ALL_MEMORY = 64 << 20, /* no test machine has less */
};

#define SCRATCH ((uintptr_t)scratch)

/* --- one descriptor --- */

static void transmit_from(uint64_t place)
{
	show_one(TRANSMIT, place_address((enum place)place), LEN, 0);
}

static void receive_to(uint64_t place)
{
	show_one(RECEIVE, place_address((enum place)place), LEN, PIECE_WRITE);
}

static void second_piece(uint64_t place)
{
	show(TRANSMIT,
	     (struct piece[]){{SCRATCH, LEN, 0}, {place_address((enum place)place), LEN, 0}}, 2);
}

static void transmit_length(uint64_t len)
{
	show_one(TRANSMIT, SCRATCH, (uint32_t)len, 0);
}

static void receive_length(uint64_t len)
{
	show_one(RECEIVE, SCRATCH, (uint32_t)len, PIECE_WRITE);
}

static void transmit_odd(uint64_t offset)
{
	show_one(TRANSMIT, SCRATCH + offset, LEN + (uint32_t)offset, 0);
}

static void transmit_flags(uint64_t flags)
{
	show_one(TRANSMIT, SCRATCH, LEN, (uint16_t)flags);
}

static void receive_flags(uint64_t flags)
{
	show_one(RECEIVE, SCRATCH, LEN, (uint16_t)flags);
}

static void transmit_memory(uint64_t len)
{
	show_one(TRANSMIT, start_of_memory(), (uint32_t)len, 0);
}

/* --- chains --- */

static void empty_pieces(uint64_t n)
{
	struct piece pieces[PIECES_MAX] = {{0, 0, 0}};

	pieces[n - 1] = (struct piece){SCRATCH, LEN, 0};
	show(TRANSMIT, pieces, (unsigned int)n);
}

static void only_empty_pieces(uint64_t n)
{
	const struct piece pieces[PIECES_MAX] = {{0, 0, 0}};

	show(TRANSMIT, pieces, (unsigned int)n);
}

static void bytes(uint64_t n)
{
	struct piece pieces[PIECES_MAX];

	for (unsigned int i = 0; i < n; i++)
		pieces[i] = (struct piece){SCRATCH + i, 1, 0};
	show(TRANSMIT, pieces, (unsigned int)n);
}

/* All memory, as often as there is room for in a chain. */
static void more_than_memory(uint64_t queue)
{
	struct piece pieces[PIECES_MAX];

	for (unsigned int i = 0; i < PIECES_MAX; i++)
		pieces[i] = (struct piece){start_of_memory(), ALL_MEMORY, 0};
	show((unsigned int)queue, pieces, PIECES_MAX);
}

static void readable_after_writable(uint64_t queue)
{
	show((unsigned int)queue, (struct piece[]){{SCRATCH, LEN, PIECE_WRITE}, {SCRATCH, LEN, 0}},
	     2);
}

static void writable_after_readable(uint64_t queue)
{
	show((unsigned int)queue, (struct piece[]){{SCRATCH, LEN, 0}, {SCRATCH, LEN, PIECE_WRITE}},
	     2);
}

/* Buffers that are the rings themselves: what is sent changes while it is sent. */
static void transmit_ring(uint64_t queue)
{
	struct virtio_queue_areas areas;

	if (virtio_has(&device, VIRTIO_F_RING_PACKED))
		packed_ring_areas(&net.queues[queue].packed, &areas);
	else
		split_ring_areas(&net.queues[queue].split, &areas);
	show(TRANSMIT,
	     (struct piece[]){
		     {areas.descriptors, LEN, 0}, {areas.driver, 4, 0}, {areas.device, 4, 0}},
	     3);
}

/* A packet is received into the ring that it is received by. */
static void receive_into_ring(uint64_t area)
{
	struct frame *frame = alloc_pages(sizeof(*frame));
	struct virtio_queue_areas areas;
	uint64_t address;

	if (virtio_has(&device, VIRTIO_F_RING_PACKED))
		packed_ring_areas(&net.queues[RECEIVE].packed, &areas);
	else
		split_ring_areas(&net.queues[RECEIVE].split, &areas);
	address = area == 0 ? areas.descriptors : area == 1 ? areas.driver : areas.device;
	for (int i = 0; i < 4; i++)
		show_one(RECEIVE, address, LEN, PIECE_WRITE);
	make_frame(frame, FRAME_MIN);
	send(frame);
}

static void same_buffer_often(uint64_t n)
{
	static struct frame frame;

	for (unsigned int i = 0; i < n; i++)
		show_one(RECEIVE, SCRATCH, BUFFER_SIZE, PIECE_WRITE);
	for (int i = 0; i < 4; i++) {
		make_frame(&frame, FRAME_MAX);
		send(&frame);
	}
}

/* --- indirect tables --- */

static void show_table(uint64_t addr, uint32_t len, uint16_t flags)
{
	set_table(scratch, 0, (struct piece){SCRATCH + PAGE_SIZE, LEN, 0}, 0);
	show_one(TRANSMIT, addr, len, PIECE_INDIRECT | flags);
}

static void table_at(uint64_t place)
{
	show_table(place_address((enum place)place), sizeof(struct split_descriptor), 0);
}

static void table_length(uint64_t len)
{
	show_table(SCRATCH, (uint32_t)len, 0);
}

static void table_flags(uint64_t flags)
{
	show_table(SCRATCH, sizeof(struct split_descriptor), (uint16_t)flags);
}

static void table_unaligned(uint64_t offset)
{
	set_table(scratch + offset, 0, (struct piece){SCRATCH + PAGE_SIZE, LEN, 0}, 0);
	show_one(TRANSMIT, SCRATCH + offset, sizeof(struct split_descriptor), PIECE_INDIRECT);
}

static void entry_at(uint64_t place)
{
	set_table(scratch, 0, (struct piece){place_address((enum place)place), LEN, 0}, 0);
	show_one(TRANSMIT, SCRATCH, sizeof(struct split_descriptor), PIECE_INDIRECT);
}

static void entry_readable_after_writable(uint64_t arg)
{
	(void)arg;
	set_table(scratch, 0, (struct piece){SCRATCH + PAGE_SIZE, LEN, PIECE_WRITE | PIECE_NEXT},
		  1);
	set_table(scratch, 1, (struct piece){SCRATCH + PAGE_SIZE, LEN, 0}, 0);
	show_one(TRANSMIT, SCRATCH, 2 * sizeof(struct split_descriptor), PIECE_INDIRECT);
}

/* One that is longer than the ring, each entry pointing to the next one. */
static void table_too_long(uint64_t n)
{
	for (unsigned int i = 0; i < n; i++)
		set_table(scratch, i,
			  (struct piece){SCRATCH + PAGE_SIZE, 1, i + 1 < n ? PIECE_NEXT : 0},
			  (uint16_t)(i + 1));
	show_one(TRANSMIT, SCRATCH, (uint32_t)(n * sizeof(struct split_descriptor)),
		 PIECE_INDIRECT);
}

/* The entry that is sent is the table. */
static void table_sends_itself(uint64_t arg)
{
	(void)arg;
	set_table(scratch, 0, (struct piece){SCRATCH, LEN, 0}, 0);
	show_one(TRANSMIT, SCRATCH, sizeof(struct split_descriptor), PIECE_INDIRECT);
}

static void table_for_receive(uint64_t place)
{
	set_table(scratch, 0, (struct piece){place_address((enum place)place), LEN, PIECE_WRITE},
		  0);
	show_one(RECEIVE, SCRATCH, sizeof(struct split_descriptor), PIECE_INDIRECT);
}

static const struct trick tricks[] = {
	{"2.6", "a transmit buffer", transmit_from, 0, BREAKS, EACH_PLACE, 0},
	{"2.6", "a receive buffer", receive_to, 0, BREAKS, EACH_PLACE | NO_BUFFERS, 0},
	{"2.7.5.3", "an indirect table", table_at, 0, BREAKS, EACH_PLACE, INDIRECT},
	{"2.7.5.3", "what is in an indirect table,", entry_at, 0, BREAKS, EACH_PLACE, INDIRECT},
	{"2.6", "a chain goes on beyond memory", second_piece, BEYOND_MEMORY, BREAKS, 0, 0},
	{"2.6", "a chain goes on behind memory", second_piece, BEHIND_MEMORY, BREAKS, 0, 0},
	{"2.6", "a table for receiving leads to the device's registers", table_for_receive,
	 OWN_REGISTERS, BREAKS, NO_BUFFERS, INDIRECT},

	{"5.1.6.2", "a packet of 0 bytes", transmit_length, 0, COMES_BACK, 0, 0},
	{"5.1.6.2", "a packet of 1 byte", transmit_length, 1, COMES_BACK, 0, 0},
	{"5.1.6.2", "a packet shorter than its header", transmit_length, NET_HEADER_SIZE - 1,
	 COMES_BACK, 0, 0},
	{"5.1.6.2", "a packet that is only a header", transmit_length, NET_HEADER_SIZE, COMES_BACK,
	 0, 0},
	{"5.1.6.2", "a frame of 1 byte", transmit_length, NET_HEADER_SIZE + 1, COMES_BACK, 0, 0},
	{"5.1.6.2", "a frame shorter than an Ethernet header", transmit_length,
	 NET_HEADER_SIZE + 13, COMES_BACK, 0, 0},
	{"5.1.6.2", "a frame of 65535 bytes", transmit_length, NET_HEADER_SIZE + 65535, COMES_BACK,
	 0, 0},
	{"5.1.6.2", "a frame of 65536 bytes", transmit_length, NET_HEADER_SIZE + 65536, COMES_BACK,
	 0, 0},
	{"5.1.6.2", "a frame of 128 KiB", transmit_length, sizeof(scratch), COMES_BACK, 0, 0},
	{"5.1.6.2", "a frame of 8 MiB", transmit_length, 8 << 20, COMES_BACK, 0, 0},
	{"2.6", "a length beyond memory", transmit_length, UINT32_MAX, BREAKS, 0, 0},
	{"2.6", "a length of 2 GiB", transmit_length, 1u << 31, BREAKS, 0, 0},
	{"2.6", "all memory is a packet", transmit_memory, ALL_MEMORY, COMES_BACK, 0, 0},
	{"5.1.6.3", "a receive buffer of 0 bytes", receive_length, 0, BREAKS, NO_BUFFERS, 0},
	{"5.1.6.3", "a receive buffer of 1 byte", receive_length, 1, BREAKS, NO_BUFFERS, 0},
	{"5.1.6.3", "a receive buffer shorter than a header", receive_length, NET_HEADER_SIZE - 1,
	 BREAKS, NO_BUFFERS, 0},
	{"5.1.6.3", "a receive buffer for a header only", receive_length, NET_HEADER_SIZE, ANYTHING,
	 NO_BUFFERS, 0},
	{"5.1.6.3", "a receive buffer of 4 GiB", receive_length, UINT32_MAX, BREAKS, NO_BUFFERS, 0},
	{"2.6", "a packet at an odd address", transmit_odd, 1, COMES_BACK, 0, 0},
	{"2.6", "a packet across pages, at an odd address", transmit_odd, PAGE_SIZE - 7, COMES_BACK,
	 0, 0},

	{"5.1.6.2", "a transmit buffer to be written", transmit_flags, PIECE_WRITE, ANYTHING, 0, 0},
	{"5.1.6.3", "a receive buffer to be read", receive_flags, 0, BREAKS, NO_BUFFERS, 0},
	{"2.7.5", "reserved flags of a descriptor", transmit_flags, 0x7f78, COMES_BACK, 0, 0},
	{"2.7.5", "INDIRECT without its feature", transmit_flags, PIECE_INDIRECT, BREAKS, 0, 0},
	{"2.7.5", "INDIRECT without its feature, for receiving", receive_flags, PIECE_INDIRECT,
	 BREAKS, NO_BUFFERS, 0},
	{"2.7.5", "WRITE and INDIRECT", transmit_flags, PIECE_INDIRECT | PIECE_WRITE, ANYTHING, 0,
	 INDIRECT},

	{"2.6", "31 pieces of nothing, and a packet", empty_pieces, 32, COMES_BACK, 0, 0},
	{"2.6", "32 pieces of nothing", only_empty_pieces, 32, COMES_BACK, 0, 0},
	{"2.6", "a packet in bytes", bytes, 32, COMES_BACK, 0, 0},
	{"2.6", "a packet larger than all memory", more_than_memory, TRANSMIT, COMES_BACK, 0, 0},
	{"2.6", "a receive buffer larger than all memory, to be read", more_than_memory, RECEIVE,
	 BREAKS, NO_BUFFERS, 0},
	{"2.7.4.2", "what is read follows what is written", readable_after_writable, TRANSMIT,
	 BREAKS, 0, 0},
	{"2.7.4.2", "what is read follows what is written, for receiving", readable_after_writable,
	 RECEIVE, BREAKS, NO_BUFFERS, 0},
	{"5.1.6.2", "a packet with a place to write to", writable_after_readable, TRANSMIT,
	 ANYTHING, 0, 0},
	{"5.1.6.3", "a receive buffer with something to read", writable_after_readable, RECEIVE,
	 BREAKS, NO_BUFFERS, 0},
	{"2.6", "a packet is its own ring", transmit_ring, TRANSMIT, ANYTHING, 0, 0},
	{"2.6", "a packet is the other ring", transmit_ring, RECEIVE, ANYTHING, 0, 0},
	{"2.6", "a packet is received over the descriptors", receive_into_ring, 0, ANYTHING,
	 NO_BUFFERS, 0},
	{"2.6", "a packet is received over the driver area", receive_into_ring, 1, ANYTHING,
	 NO_BUFFERS, 0},
	{"2.6", "a packet is received over the device area", receive_into_ring, 2, ANYTHING,
	 NO_BUFFERS, 0},
	{"2.6", "receive buffers are all the same one", same_buffer_often, 32, ANYTHING, NO_BUFFERS,
	 0},

	{"2.7.5.3", "an indirect table of 0 bytes", table_length, 0, BREAKS, 0, INDIRECT},
	{"2.7.5.3", "an indirect table of 1 byte", table_length, 1, BREAKS, 0, INDIRECT},
	{"2.7.5.3", "an indirect table of 15 bytes", table_length, 15, BREAKS, 0, INDIRECT},
	{"2.7.5.3", "an indirect table of 17 bytes", table_length, 17, BREAKS, 0, INDIRECT},
	{"2.7.5.3", "an indirect table of almost 4 GiB", table_length, 0xfffffff0, BREAKS, 0,
	 INDIRECT},
	{"2.7.5.3.1", "INDIRECT together with NEXT", table_flags, PIECE_NEXT, BREAKS, 0, INDIRECT},
	{"2.7.5.3", "an indirect table to be written", table_flags, PIECE_WRITE, COMES_BACK, 0,
	 INDIRECT},
	{"2.7.5.3", "an indirect table at an odd address", table_unaligned, 1, COMES_BACK, 0,
	 INDIRECT},
	{"2.7.5.3", "an indirect table across pages", table_unaligned, PAGE_SIZE - 9, COMES_BACK, 0,
	 INDIRECT},
	{"2.7.4.2", "what is read follows what is written, in a table",
	 entry_readable_after_writable, 0, BREAKS, 0, INDIRECT},
	{"2.7.5.3.1", "a table longer than the ring", table_too_long, QUEUE_SIZE + 1, BREAKS, 0,
	 INDIRECT},
	{"2.7.5.3.1", "a table much longer than the ring", table_too_long, 4000, BREAKS, 0,
	 INDIRECT},
	{"2.7.5.3", "an indirect table is what is sent", table_sends_itself, 0, COMES_BACK, 0,
	 INDIRECT},
};

const struct trick_group descriptors_tricks = TRICK_GROUP(tricks);
