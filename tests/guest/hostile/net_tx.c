/* SPDX-License-Identifier: Apache-2.0 */
/* Packets whose virtio-net header makes no sense (5.1.6.2). The peer sends them back, too. */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

#define OFFLOADS                                                         \
	(FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) | \
	 FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO4))

static struct frame frame;

/* Send a frame of @len bytes with @header, in one piece. */
static void send_with(const struct net_header *header, uint32_t len)
{
	make_frame(&frame, FRAME_MIN);
	memset(scratch, 0, sizeof(scratch));
	memcpy(scratch, header, net.header_size);
	memcpy(scratch + net.header_size, frame.data, FRAME_MIN);
	show_one(TRANSMIT, (uintptr_t)scratch, net.header_size + len, 0);
}

/* An argument: a field's value, and the length of the frame. */
#define WITH(value, len) ((uint64_t)(len) << 32 | (value))

static uint16_t value_of(uint64_t arg)
{
	return (uint16_t)arg;
}

static uint32_t len_of(uint64_t arg)
{
	return (uint32_t)(arg >> 32);
}

static void flags(uint64_t arg)
{
	send_with(&(struct net_header){.flags = (uint8_t)arg}, len_of(arg));
}

static void gso_type(uint64_t arg)
{
	send_with(&(struct net_header){.gso_type = (uint8_t)arg, .hdr_len = 54, .gso_size = 1448},
		  len_of(arg));
}

static void gso_size(uint64_t arg)
{
	send_with(&(struct net_header){.flags = NET_NEEDS_CSUM,
				       .gso_type = NET_GSO_TCPV4,
				       .hdr_len = 54,
				       .gso_size = value_of(arg),
				       .csum_start = 34,
				       .csum_offset = 16},
		  len_of(arg));
}

static void hdr_len(uint64_t arg)
{
	send_with(&(struct net_header){.flags = NET_NEEDS_CSUM,
				       .gso_type = NET_GSO_TCPV4,
				       .hdr_len = value_of(arg),
				       .gso_size = 1448,
				       .csum_start = 34,
				       .csum_offset = 16},
		  len_of(arg));
}

static void csum_start(uint64_t arg)
{
	send_with(&(struct net_header){.flags = NET_NEEDS_CSUM, .csum_start = value_of(arg)},
		  len_of(arg));
}

static void csum_offset(uint64_t arg)
{
	send_with(&(struct net_header){.flags = NET_NEEDS_CSUM,
				       .csum_start = 34,
				       .csum_offset = value_of(arg)},
		  len_of(arg));
}

static void num_buffers(uint64_t arg)
{
	send_with(&(struct net_header){.num_buffers = value_of(arg)}, len_of(arg));
}

static void all_ones(uint64_t arg)
{
	struct net_header header;

	memset(&header, 0xff, sizeof(header));
	send_with(&header, len_of(arg));
}

static void any_header(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint32_t words[5];
		struct net_header header;

		for (unsigned int k = 0; k < 5; k++)
			words[k] = random_number();
		memcpy(&header, words, sizeof(header));
		send_with(&header, random_number() % 2000);
		for (deadline_t d = deadline(PATIENCE_MS); !all_used(TRANSMIT);)
			expect(!deadline_passed(d), "a buffer doesn't come back");
	}
}

/* The header ends in the middle of a piece, and that in the middle of the header. */
static void header_in_bytes(uint64_t n)
{
	struct piece pieces[PIECES_MAX];

	make_frame(&frame, FRAME_MIN);
	memset(scratch, 0xff, NET_HEADER_SIZE);
	memcpy(scratch + NET_HEADER_SIZE, frame.data, FRAME_MIN);
	for (unsigned int i = 0; i + 1 < n; i++)
		pieces[i] = (struct piece){(uintptr_t)scratch + i, 1, 0};
	pieces[n - 1] = (struct piece){(uintptr_t)scratch + n - 1, FRAME_MIN, 0};
	show(TRANSMIT, pieces, (unsigned int)n);
}

#define HEADER_TRICKS(with, features)                                                              \
	{"5.1.6.2", "all flags" with, flags, WITH(0xff, FRAME_MIN), COMES_BACK, 0, features},      \
		{"5.1.6.2",  "a GSO type of all bits" with,                                        \
		 gso_type,   WITH(0xff, FRAME_MIN),                                                \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2",  "a GSO type that doesn't exist" with,                                 \
		 gso_type,   WITH(2, FRAME_MIN),                                                   \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2",  "UFO" with, gso_type, WITH(NET_GSO_UDP, FRAME_MIN),                   \
		 COMES_BACK, 0,		 features},                                                \
		{"5.1.6.2",  "ECN of nothing" with,                                                \
		 gso_type,   WITH(NET_GSO_ECN, FRAME_MIN),                                         \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2", "GSO size 0" with, gso_size, WITH(0, 3000), COMES_BACK, 0, features},  \
		{"5.1.6.2", "GSO size 1" with, gso_size, WITH(1, 65000), COMES_BACK, 0, features}, \
		{"5.1.6.2", "GSO size 65535" with, gso_size, WITH(65535, 3000), COMES_BACK, 0,     \
		 features},                                                                        \
		{"5.1.6.2",  "a header length past the end" with,                                  \
		 hdr_len,    WITH(61, FRAME_MIN),                                                  \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2",  "a header length of 65535" with,                                      \
		 hdr_len,    WITH(65535, FRAME_MIN),                                               \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2", "a header length of 0" with, hdr_len, WITH(0, 3000), COMES_BACK, 0,    \
		 features},                                                                        \
		{"5.1.6.2",  "the checksum starts at the end" with,                                \
		 csum_start, WITH(FRAME_MIN, FRAME_MIN),                                           \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2",  "the checksum starts at 65535" with,                                  \
		 csum_start, WITH(65535, FRAME_MIN),                                               \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
		{"5.1.6.2",   "the checksum is at the end" with,                                   \
		 csum_offset, WITH(25, FRAME_MIN),                                                 \
		 COMES_BACK,  0,                                                                   \
		 features},                                                                        \
		{"5.1.6.2",   "the checksum is at 65535" with,                                     \
		 csum_offset, WITH(65535, FRAME_MIN),                                              \
		 COMES_BACK,  0,                                                                   \
		 features},                                                                        \
		{"5.1.6.2",   "65535 buffers" with,                                                \
		 num_buffers, WITH(65535, FRAME_MIN),                                              \
		 COMES_BACK,  0,                                                                   \
		 features},                                                                        \
		{"5.1.6.2", "a header of ones" with, all_ones, WITH(0, FRAME_MIN), COMES_BACK, 0,  \
		 features},                                                                        \
		{"5.1.6.2",  "a header of ones, and no frame" with,                                \
		 all_ones,   WITH(0, 0),                                                           \
		 COMES_BACK, 0,                                                                    \
		 features},                                                                        \
	{                                                                                          \
		"5.1.6.2", "50 headers at random" with, any_header, 50, COMES_BACK, 0, features    \
	}

/* clang-format off: a table */
static const struct trick tricks[] = {
	HEADER_TRICKS(", without offloads", 0),
	HEADER_TRICKS(", with offloads", OFFLOADS),
	{"5.1.6.2", "a header of ones, in bytes", header_in_bytes, 13, COMES_BACK, 0, 0},
	{"5.1.6.2", "a header of ones, and mergeable buffers", all_ones, WITH(0, FRAME_MIN),
	 COMES_BACK, 0, FEATURE(VIRTIO_NET_F_MRG_RXBUF) | OFFLOADS},
};
/* clang-format on */

const struct trick_group net_tx_tricks = TRICK_GROUP(tricks);
