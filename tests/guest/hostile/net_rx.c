/* SPDX-License-Identifier: Apache-2.0 */
/* Receive buffers that are too small, too many, in too many pieces, or gone (5.1.6.3). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

#define SCRATCH ((uintptr_t)scratch)
#define MERGE	FEATURE(VIRTIO_NET_F_MRG_RXBUF)

static struct frame frame;

/* Frames on their way to the device, whether they arrive or not. */
static void have_sent_back(unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++) {
		make_frame(&frame, len);
		expect(send(&frame), "nothing is sent");
	}
}

/* Buffers of @len bytes, all that there is room for, and frames that don't fit in them. */
static void small_buffers(uint64_t len)
{
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		show_one(RECEIVE, SCRATCH + i * 256, (uint32_t)len, PIECE_WRITE);
	have_sent_back(4, FRAME_MAX);
}

static void no_buffers(uint64_t n)
{
	have_sent_back((unsigned int)n, FRAME_MAX);
}

/* One that is large enough together with the next, which never comes. */
static void one_buffer_missing(uint64_t arg)
{
	(void)arg;
	show_one(RECEIVE, SCRATCH, 1000, PIECE_WRITE);
	have_sent_back(1, FRAME_MAX);
}

static void buffers_in_bytes(uint64_t n)
{
	struct piece pieces[PIECES_MAX];

	for (unsigned int i = 0; i < n; i++)
		pieces[i] = (struct piece){SCRATCH + i, 1, PIECE_WRITE};
	show(RECEIVE, pieces, (unsigned int)n);
	show(RECEIVE, pieces, (unsigned int)n);
	have_sent_back(2, FRAME_MIN);
}

static void empty_pieces(uint64_t n)
{
	struct piece pieces[PIECES_MAX];

	for (unsigned int i = 0; i < n; i++)
		pieces[i] = (struct piece){SCRATCH, i + 1 < n ? 0 : BUFFER_SIZE, PIECE_WRITE};
	show(RECEIVE, pieces, (unsigned int)n);
	have_sent_back(2, FRAME_MIN);
}

/* The packet is received over the page that the next one is sent from. */
static void over_what_is_sent(uint64_t arg)
{
	(void)arg;
	for (int i = 0; i < 8; i++) {
		show_one(RECEIVE, (uintptr_t)&frame, BUFFER_SIZE, PIECE_WRITE);
		make_frame(&frame, FRAME_MIN);
		send(&frame);
	}
}

static void good_and_bad(uint64_t arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++)
		show_one(RECEIVE, SCRATCH, BUFFER_SIZE, PIECE_WRITE);
	show_one(RECEIVE, place_address(IN_HOLE), BUFFER_SIZE, PIECE_WRITE);
}

static void large_frames(uint64_t len)
{
	make_frame(&frame, (uint32_t)len);
	expect(send(&frame), "nothing is sent");
	make_frame(&frame, FRAME_MIN);
	expect(send(&frame), "nothing is sent");
}

static const struct trick tricks[] = {
	{"5.1.6.3", "no receive buffer", no_buffers, 40, ANYTHING, NO_BUFFERS, 0},
	{"5.1.6.3", "no receive buffer, mergeable", no_buffers, 20, ANYTHING, NO_BUFFERS, MERGE},
	{"5.1.6.3", "receive buffers of 100 bytes", small_buffers, 100, ANYTHING, NO_BUFFERS, 0},
	{"5.1.6.3", "receive buffers of 13 bytes, mergeable", small_buffers, 13, ANYTHING,
	 NO_BUFFERS, MERGE},
	{"5.1.6.3", "receive buffers of 12 bytes, mergeable", small_buffers, NET_HEADER_SIZE,
	 ANYTHING, NO_BUFFERS, MERGE},
	{"5.1.6.3", "one of two buffers is missing, mergeable", one_buffer_missing, 0, ANYTHING,
	 NO_BUFFERS, MERGE},
	{"5.1.6.3", "receive buffers in bytes", buffers_in_bytes, 30, ANYTHING, NO_BUFFERS, 0},
	{"5.1.6.3", "receive buffers in bytes, mergeable", buffers_in_bytes, 30, ANYTHING,
	 NO_BUFFERS, MERGE},
	{"5.1.6.3", "a receive buffer after pieces of nothing", empty_pieces, PIECES_MAX, ANYTHING,
	 NO_BUFFERS, 0},
	{"5.1.6.3", "packets are received over what is sent", over_what_is_sent, 0, ANYTHING,
	 NO_BUFFERS, 0},
	{"5.1.6.3", "a bad receive buffer after good ones", good_and_bad, 0, BREAKS, NO_BUFFERS, 0},
	{"5.1.6.3", "a frame of 64 KiB comes to small buffers", large_frames, 65000, GOES_ON, 0, 0},
	{"5.1.6.3", "a frame of 64 KiB comes to mergeable buffers", large_frames, 65000, ANYTHING,
	 0, MERGE},
};

const struct trick_group net_rx_tricks = TRICK_GROUP(tricks);
