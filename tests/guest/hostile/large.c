/* SPDX-License-Identifier: Apache-2.0 */
/* Rings as large as the device has them, and chains that are as long: more than a system call
 * takes. */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	LARGEST = 2048, /* of a ring here: for more there is no memory */
	BUFFERS = 32,
};

#define SCRATCH ((uintptr_t)scratch)
#define MERGE	FEATURE(VIRTIO_NET_F_MRG_RXBUF)

static struct frame frame;
static struct piece pieces[LARGEST];

/* The running device, with its largest rings. Returns their size. */
static unsigned int start_large(uint64_t features)
{
	uint16_t size = device.transport->queue_max(&device, TRANSMIT);

	size = size < LARGEST ? size : LARGEST;
	start_sized(features, size);
	return size;
}

/* @n pieces of @len bytes, next to each other. */
static void cut(unsigned int n, uint32_t len, uint16_t flags)
{
	for (unsigned int i = 0; i < n; i++)
		pieces[i] = (struct piece){
			SCRATCH + i * len % (sizeof(scratch) - len),
			len,
			(uint16_t)(flags | (i + 1 < n ? PIECE_NEXT : 0)),
		};
}

static void transmit_chain(uint64_t len)
{
	unsigned int n = start_large(0);

	cut(n, (uint32_t)len, 0);
	show_raw(TRANSMIT, pieces, n);
}

/* This one is good: it must not be lost for its many pieces. */
static void frame_in_bytes(uint64_t len)
{
	static uint8_t whole[sizeof(struct net_header) + FRAME_MAX];
	static struct echo echo;
	unsigned int n = start_large(0);
	unsigned int end = net.header_size + (unsigned int)len;

	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, (uint32_t)len);
	memcpy(whole, &frame.header, net.header_size);
	memcpy(whole + net.header_size, frame.data, len);
	if (n < end)
		return;
	for (unsigned int i = 0; i < end; i++)
		pieces[i] = (struct piece){(uintptr_t)whole + i, 1, i + 1 < end ? PIECE_NEXT : 0};
	show_raw(TRANSMIT, pieces, end);
	expect(receive_echo(&frame, &echo), "the frame doesn't come back");
	expect(echo.len == len && memcmp(echo.data + 12, frame.data + 12, len - 12) == 0,
	       "the frame comes back as another one");
}

static void endless_chain(uint64_t len)
{
	unsigned int n = start_large(0);

	cut(n, (uint32_t)len, 0);
	pieces[n - 1].flags = PIECE_NEXT;
	show_raw(TRANSMIT, pieces, n);
}

/* A table of @n entries; they are in new memory, and @n may be more than the ring has. */
static uint64_t make_table(unsigned int n, uint32_t len, uint16_t flags)
{
	void *table = alloc_pages(n * sizeof(struct split_descriptor));

	for (unsigned int i = 0; i < n; i++)
		set_table(table, i,
			  (struct piece){SCRATCH + i * len % (sizeof(scratch) - len), len,
					 (uint16_t)(flags | (i + 1 < n ? PIECE_NEXT : 0))},
			  (uint16_t)(i + 1));
	return (uintptr_t)table;
}

static void show_table(unsigned int queue, uint64_t table, unsigned int n)
{
	show_one(queue, table, (uint32_t)(n * sizeof(struct split_descriptor)), PIECE_INDIRECT);
}

static void transmit_table(uint64_t len)
{
	unsigned int n = start_large(INDIRECT);

	show_table(TRANSMIT, make_table(n, (uint32_t)len, 0), n);
}

static void transmit_table_too_long(uint64_t more)
{
	unsigned int n = start_large(INDIRECT) + (unsigned int)more;

	show_table(TRANSMIT, make_table(n, 1, 0), n);
}

static void transmit_all_at_once(uint64_t len)
{
	unsigned int n = start_large(0);

	for (unsigned int i = 0; i < n; i++)
		show_one(TRANSMIT, SCRATCH, (uint32_t)len, 0);
}

static void have_sent_back(void)
{
	static const uint32_t lengths[] = {FRAME_MIN, FRAME_MAX, 65000};

	for (unsigned int i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_frame(&frame, lengths[i / 2]);
		expect(send(&frame), "nothing is sent");
	}
}

/* Each buffer a table of @entries bytes, or of as many as there can be. */
static void receive_in_tables(uint64_t features, unsigned int entries)
{
	unsigned int n = start_large(features | INDIRECT);
	uint64_t table;

	n = entries != 0 && entries < n ? entries : n;
	table = make_table(n, 1, PIECE_WRITE);
	for (int i = 0; i < BUFFERS; i++)
		show_table(RECEIVE, table, n);
	have_sent_back();
}

static void receive_tables(uint64_t entries)
{
	receive_in_tables(0, (unsigned int)entries);
}

static void receive_merged_tables(uint64_t entries)
{
	receive_in_tables(MERGE, (unsigned int)entries);
}

/* So many buffers that a packet of 64 KiB needs more of them than one system call takes. */
static void receive_merged_buffers(uint64_t len)
{
	unsigned int n = start_large(MERGE);

	for (unsigned int i = 0; i < n; i++)
		show_one(RECEIVE, SCRATCH + i * 32, (uint32_t)len, PIECE_WRITE);
	have_sent_back();
}

static void receive_chain(uint64_t len)
{
	unsigned int n = start_large(0);

	cut(n, (uint32_t)len, PIECE_WRITE);
	show_raw(RECEIVE, pieces, n);
	have_sent_back();
}

/* A good one, and one that goes wrong where the first system call has no more room. */
static void receive_bad_piece(uint64_t at)
{
	unsigned int n = start_large(0);

	cut(n, 1, PIECE_WRITE);
	pieces[at < n ? at : n - 1].addr = place_address(BEHIND_MEMORY);
	show_raw(RECEIVE, pieces, n);
}

static const struct trick tricks[] = {
	{"2.7.5.1", "a packet in as many bytes as the ring has descriptors", transmit_chain, 1,
	 COMES_BACK, BARE, 0},
	{"2.7.5.1", "a good frame in 1500 bytes", frame_in_bytes, 1500, COMES_BACK, BARE, 0},
	{"2.7.5.1", "a packet in as many pieces of 32 bytes", transmit_chain, 32, COMES_BACK, BARE,
	 0},
	{"2.7.5.1", "a packet in as many pieces of 60 KiB", transmit_chain, 60 << 10, COMES_BACK,
	 BARE, 0},
	{"2.7.5.1", "a packet in as many pieces of nothing", transmit_chain, 0, COMES_BACK, BARE,
	 0},
	{"2.7.5.1", "a chain that doesn't end, in the largest ring", endless_chain, 1, BREAKS, BARE,
	 0},
	{"2.7.5.1", "a chain of nothing that doesn't end, in the largest ring", endless_chain, 0,
	 BREAKS, BARE, 0},
	{"2.7.5.3.1", "a packet in a table as long as the largest ring", transmit_table, 16,
	 COMES_BACK, BARE, INDIRECT},
	{"2.7.5.3.1", "a packet in a longer table", transmit_table_too_long, 1, BREAKS, BARE,
	 INDIRECT},
	{"2.6", "all of the largest ring at once", transmit_all_at_once, FRAME_MIN, COMES_BACK,
	 BARE, 0},
	{"2.6", "all of the largest ring at once, of nothing", transmit_all_at_once, 0, COMES_BACK,
	 BARE, 0},
	{"5.1.6.3", "receive buffers of as many bytes as the ring has descriptors", receive_tables,
	 0, ANYTHING, BARE, INDIRECT},
	{"5.1.6.3", "receive buffers of 100 pieces", receive_tables, 100, ANYTHING, BARE, INDIRECT},
	{"5.1.6.3", "mergeable buffers of as many bytes", receive_merged_tables, 0, ANYTHING, BARE,
	 INDIRECT | MERGE},
	{"5.1.6.3", "mergeable buffers of 1000 pieces", receive_merged_tables, 1000, ANYTHING, BARE,
	 INDIRECT | MERGE},
	{"5.1.6.3", "mergeable buffers of 12 bytes, the largest ring full", receive_merged_buffers,
	 12, ANYTHING, BARE, MERGE},
	{"5.1.6.3", "mergeable buffers of 32 bytes, the largest ring full", receive_merged_buffers,
	 32, ANYTHING, BARE, MERGE},
	{"5.1.6.3", "a receive buffer of all descriptors", receive_chain, 1, ANYTHING, BARE, 0},
	{"5.1.6.3", "a receive buffer of all descriptors, large", receive_chain, 40, ANYTHING, BARE,
	 0},
	{"5.1.6.3", "a receive buffer that goes wrong in its first piece", receive_bad_piece, 0,
	 BREAKS, BARE, 0},
	{"5.1.6.3", "a receive buffer that goes wrong in its 1024th piece", receive_bad_piece, 1023,
	 BREAKS, BARE, 0},
};

const struct trick_group large_tricks = TRICK_GROUP(tricks);
