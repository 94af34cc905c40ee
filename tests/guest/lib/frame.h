/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet frames and what test guests and tests/system say to each other in them. */
#ifndef GUEST_LIB_FRAME_H
#define GUEST_LIB_FRAME_H

#include <stdint.h>

struct ethernet_header {
	uint8_t to[6];
	uint8_t from[6];
	uint8_t type[2]; /* big-endian, as all that follows */
};

struct arp_packet { /* RFC 826, for IPv4 over Ethernet */
	struct ethernet_header ethernet;
	uint8_t formats[6]; /* of hardware and protocol addresses */
	uint8_t operation[2];
	uint8_t sender_mac[6];
	uint8_t sender_ip[4];
	uint8_t target_mac[6];
	uint8_t target_ip[4];
};

struct ipv4_header { /* RFC 791, without options */
	uint8_t version_length;
	uint8_t service;
	uint8_t length[2];
	uint8_t id[2];
	uint8_t fragment[2];
	uint8_t ttl;
	uint8_t protocol;
	uint8_t checksum[2];
	uint8_t from[4];
	uint8_t to[4];
};

struct icmp_packet { /* RFC 792, echo */
	struct ethernet_header ethernet;
	struct ipv4_header ip;
	uint8_t type;
	uint8_t code;
	uint8_t checksum[2];
};

struct udp_packet { /* RFC 768 */
	struct ethernet_header ethernet;
	struct ipv4_header ip;
	uint8_t from_port[2];
	uint8_t to_port[2];
	uint8_t length[2];
	uint8_t checksum[2];
};

/*
 * A frame of the tests: an EtherType for experiments (IEEE 802), an operation, a number, and
 * payload[i] = number + i.
 */
struct test_frame {
	struct ethernet_header ethernet;
	uint8_t operation;
	uint8_t reserved;
	uint8_t number[4];
	uint8_t payload[];
};

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_TEST = 0x88b5,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	IP_ICMP = 1,
	IP_TCP = 6,
	IP_UDP = 17,
	ICMP_ECHO_REPLY = 0,
	ICMP_ECHO_REQUEST = 8,
};

/* The Ethernet address of the host side of a test. */
#define TEST_MAC                            \
	{                                   \
		0x02, 't', 'e', 's', 't', 0 \
	}

enum test_operation {
	TEST_READY = 1, /* guest: I am listening */
	TEST_DATA = 2,	/* count me, check me, and if asked to, send me back */
	TEST_STOP = 3,	/* host: that was all */
	TEST_REST = 4,	/* host: do nothing for "number" milliseconds */
};

_Static_assert(sizeof(struct arp_packet) == 42, "RFC 826");
_Static_assert(sizeof(struct icmp_packet) == 38, "RFC 792, without data");
_Static_assert(sizeof(struct udp_packet) == 42, "RFC 768, without data");
_Static_assert(sizeof(struct test_frame) == 20, "all bytes, so no padding");

static inline uint16_t read_be16(const uint8_t at[2])
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void write_be16(uint8_t at[2], unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t read_be32(const uint8_t at[4])
{
	return (uint32_t)read_be16(at) << 16 | read_be16(at + 2);
}

static inline void write_be32(uint8_t at[4], uint32_t value)
{
	write_be16(at, value >> 16);
	write_be16(at + 2, value & 0xffff);
}

#endif
