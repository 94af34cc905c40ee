/* SPDX-License-Identifier: Apache-2.0 */
/* Receive hashes, with the inputs and results that Microsoft publishes to verify RSS by. */
#include "virtio/net_rss.h"

#include <arpa/inet.h>
#include <check.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	TCP = 6,
	UDP = 17,
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	ESP = 50,
	AUTHENTICATION = 51,
	NO_NEXT = 59,
	OPTIONS = 60,
};

#define TYPE(name) VIRTIO_NET_RSS_HASH_TYPE_##name
#define PLAIN	   (TYPE(IPv4) | TYPE(TCPv4) | TYPE(UDPv4) | TYPE(IPv6) | TYPE(TCPv6) | TYPE(UDPv6))

static struct net_rss rss = {
	.hash_types = NET_RSS_HASH_TYPES,
	.key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa},
};

static const struct vector {
	const char *from, *to;
	uint16_t from_port, to_port;
	uint32_t addresses, all;
} vectors4[] =
	{
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
},
  vectors6[] = {
	  {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
	  {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
	  {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
	   0x4b61e985, 0x02d1feef},
};

/* --- frames, built from left to right --- */

static uint8_t frame[512];
static size_t length;
static size_t network; /* where the IP header is */

static void setup(void)
{
	memset(frame, 0xa5, sizeof(frame));
	length = 12;
	rss.hash_types = NET_RSS_HASH_TYPES;
}

static void put(const void *bytes, size_t n)
{
	ck_assert_uint_le(length + n, sizeof(frame));
	memcpy(frame + length, bytes, n);
	length += n;
}

static void put16(unsigned int value)
{
	put(&(uint16_t){htons((uint16_t)value)}, 2);
}

static void put_zeroes(size_t n)
{
	memset(frame + length, 0, n);
	length += n;
}

static void put_tag(unsigned int type)
{
	put16(type);
	put16(100);
}

static void put_address(int family, const char *text)
{
	uint8_t address[16];

	ck_assert_int_eq(inet_pton(family, text, address), 1);
	put(address, family == AF_INET ? 4 : 16);
}

/* The IPv4 header with @options bytes of options, and the EtherType before it. */
static void put_ipv4(const struct vector *vector, unsigned int protocol, unsigned int fragment,
		     size_t options)
{
	put16(ETH_P_IP);
	network = length;
	put16(0x4500 + ((unsigned int)options / 4 << 8));
	put16(0); /* total length: put_total() */
	put16(0x1234);
	put16(fragment);
	put16(64 << 8 | protocol);
	put16(0);
	put_address(AF_INET, vector->from);
	put_address(AF_INET, vector->to);
	put_zeroes(options);
}

static void put_ipv6(const struct vector *vector, unsigned int next)
{
	put16(ETH_P_IPV6);
	network = length;
	put16(0x6000);
	put16(0);
	put16(0); /* payload length: put_total() */
	put16(next << 8 | 64);
	put_address(AF_INET6, vector->from);
	put_address(AF_INET6, vector->to);
}

/* The ports, and as much of a header as any protocol has. */
static void put_transport(const struct vector *vector)
{
	put16(vector->from_port);
	put16(vector->to_port);
	put_zeroes(16);
}

/* The packet ends here: fill in how long it is. */
static void put_total(void)
{
	uint16_t total = htons((uint16_t)(length - network));

	if (frame[network] >> 4 == 4) {
		memcpy(frame + network + 2, &total, 2);
	} else {
		total = htons((uint16_t)(length - network - 40));
		memcpy(frame + network + 4, &total, 2);
	}
}

/* Nothing may be read past the end: the frame is copied to the end of a block of its own size. */
static void assert_hash(uint32_t hash, unsigned int report)
{
	uint8_t *exact = malloc(length ? length : 1);
	uint16_t is = 0xffff;

	memcpy(exact, frame, length);
	ck_assert_uint_eq(net_rss_hash(&rss, exact, length, &is), hash);
	ck_assert_uint_eq(is, report);
	free(exact);
}

/* --- the published vectors --- */

START_TEST(ipv4)
{
	const struct vector *vector = &vectors4[_i];

	put_ipv4(vector, TCP, 0, 0);
	put_transport(vector);
	put_total();
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv4);
	frame[network + 9] = UDP;
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_UDPv4);
	frame[network + 9] = 1;
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv4);
}
END_TEST

START_TEST(ipv6)
{
	const struct vector *vector = &vectors6[_i];

	put_ipv6(vector, TCP);
	put_transport(vector);
	put_total();
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv6);
	frame[network + 6] = UDP;
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_UDPv6);
	frame[network + 6] = NO_NEXT;
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv6);
	frame[network + 6] = ESP;
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv6);
}
END_TEST

/* --- hash types --- */

START_TEST(types_of_ipv4)
{
	put_ipv4(&vectors4[0], TCP, 0, 0);
	put_transport(&vectors4[0]);
	rss.hash_types = TYPE(TCPv4);
	assert_hash(0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4);
	rss.hash_types = TYPE(UDPv4) | TYPE(IPv4);
	assert_hash(0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4);
	rss.hash_types = NET_RSS_HASH_TYPES & ~(unsigned int)(TYPE(TCPv4) | TYPE(IPv4));
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
	rss.hash_types = 0;
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
}
END_TEST

/* Without extension headers the *_EX types don't matter. */
START_TEST(types_of_ipv6)
{
	put_ipv6(&vectors6[0], UDP);
	put_transport(&vectors6[0]);
	rss.hash_types = TYPE(UDPv6) | TYPE(IP_EX);
	assert_hash(0x40207d3d, VIRTIO_NET_HASH_REPORT_UDPv6);
	rss.hash_types = TYPE(IPv6) | TYPE(TCPv6) | TYPE(UDP_EX);
	assert_hash(0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6);
	rss.hash_types = TYPE(IP_EX) | TYPE(UDP_EX) | TYPE(TCPv6);
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
}
END_TEST

/* --- extension headers --- */

static void put_extension(unsigned int next, size_t size)
{
	put16(next << 8 | ((unsigned int)size / 8 - 1));
	put_zeroes(size - 2);
}

START_TEST(extension_headers)
{
	const struct vector *vector = &vectors6[0];

	put_ipv6(vector, HOP_BY_HOP);
	put_extension(ROUTING, 16);
	put_extension(OPTIONS, 24); /* of type 0 */
	put_extension(AUTHENTICATION, 8);
	put16(TCP << 8 | 4); /* in units of 4 bytes, less 2 */
	put_zeroes(22);
	put_transport(vector);
	put_total();
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv6_EX);
	rss.hash_types &= ~(unsigned int)TYPE(TCP_EX);
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv6_EX);
	rss.hash_types = PLAIN;
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv6);
	rss.hash_types = TYPE(IPv6);
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv6);
}
END_TEST

/* The addresses that count are in the extension headers; those in front are others. */
START_TEST(mobile_addresses)
{
	const struct vector *vector = &vectors6[2];

	put_ipv6(&vectors6[0], OPTIONS);
	put16(ROUTING << 8 | 3); /* 32 bytes */
	put_zeroes(1);		 /* Pad1 */
	put("\x01\x03\0\0", 4);	 /* PadN */
	put_zeroes(1);
	put("\xc9\x10", 2);
	put_address(AF_INET6, vector->from);
	put_zeroes(6);
	put16(UDP << 8 | 2);
	put("\x02\x01", 2);
	put_zeroes(4);
	put_address(AF_INET6, vector->to);
	put_transport(vector);
	put_total();
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_UDPv6_EX);
	rss.hash_types = PLAIN | TYPE(IP_EX);
	assert_hash(vector->addresses, VIRTIO_NET_HASH_REPORT_IPv6_EX);
	/* Skipped, they don't count. */
	rss.hash_types = TYPE(IPv6);
	assert_hash(vectors6[0].addresses, VIRTIO_NET_HASH_REPORT_IPv6);
}
END_TEST

START_TEST(bad_options)
{
	const struct vector *vector = &vectors6[0];

	put_ipv6(vector, OPTIONS);
	put16(TCP << 8);
	put_zeroes(3);
	put("\xc9\x10\x01", 3); /* longer than the header */
	put_transport(vector);
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv6_EX);
	memset(frame + network + 42, 0, 5);
	frame[network + 47] = 0xc9; /* no length */
	assert_hash(vector->all, VIRTIO_NET_HASH_REPORT_TCPv6_EX);
}
END_TEST

/* --- fragments --- */

START_TEST(fragments_of_ipv4)
{
	static const unsigned int fragments[] = {0x2000, 0x0001, 0x3fff, 0x1000};

	put_ipv4(&vectors4[0], TCP, fragments[_i], 0);
	put_transport(&vectors4[0]);
	assert_hash(0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4);
	/* Don't Fragment is none. */
	frame[network + 6] = 0x40;
	frame[network + 7] = 0;
	assert_hash(0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4);
}
END_TEST

START_TEST(fragments_of_ipv6)
{
	put_ipv6(&vectors6[0], FRAGMENT);
	put16(TCP << 8);
	put16(_i ? 1 : 8); /* more of them; the second one */
	put_zeroes(4);
	put_transport(&vectors6[0]);
	assert_hash(0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6_EX);
	rss.hash_types = PLAIN;
	assert_hash(0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6);
	/* An atomic one is a whole packet. */
	memset(frame + network + 42, 0, 2);
	assert_hash(0x40207d3d, VIRTIO_NET_HASH_REPORT_TCPv6);
}
END_TEST

/* --- other frames --- */

START_TEST(options_of_ipv4)
{
	put_ipv4(&vectors4[0], TCP, 0, 4 * (size_t)_i);
	put_transport(&vectors4[0]);
	put_total();
	assert_hash(0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4);
}
END_TEST

START_TEST(vlan)
{
	if (_i)
		put_tag(ETH_P_8021AD);
	put_tag(ETH_P_8021Q);
	put_ipv4(&vectors4[0], TCP, 0, 0);
	put_transport(&vectors4[0]);
	assert_hash(0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4);
}
END_TEST

START_TEST(not_ip)
{
	put16(ETH_P_ARP);
	put_zeroes(28);
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
	/* The EtherType of one, the version of the other. */
	setup();
	put_ipv4(&vectors4[0], TCP, 0, 20);
	put_transport(&vectors4[0]);
	frame[network] = 0x65;
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
	frame[network] = 0x44; /* shorter than the header is */
	assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
}
END_TEST

/* A frame is padded to 60 bytes; the padding has no ports. */
START_TEST(padding_is_no_header)
{
	put_ipv4(&vectors4[0], TCP, 0, 0);
	put_total();
	put_transport(&vectors4[0]);
	assert_hash(0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4);
}
END_TEST

/* Cut anywhere: what is not there any more doesn't count, and isn't looked at (ASan sees that). */
START_TEST(truncated)
{
	size_t whole;

	put_tag(ETH_P_8021Q);
	if (_i) {
		put_ipv6(&vectors6[0], OPTIONS);
		put_extension(TCP, 24);
	} else {
		put_ipv4(&vectors4[0], TCP, 0, 8);
	}
	put_transport(_i ? &vectors6[0] : &vectors4[0]);
	put_total();
	whole = length;
	for (length = 0; length < whole; length++) {
		size_t transport = network + (_i ? 40 + 24 : 28);

		if (length >= transport + 4)
			assert_hash(_i ? 0x40207d3d : 0x51ccc178,
				    _i ? VIRTIO_NET_HASH_REPORT_TCPv6_EX
				       : VIRTIO_NET_HASH_REPORT_TCPv4);
		else if (_i && length >= network + 40)
			assert_hash(0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6_EX);
		else if (!_i && length >= network + 28)
			assert_hash(0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4);
		else
			assert_hash(0, VIRTIO_NET_HASH_REPORT_NONE);
	}
}
END_TEST

/* Extension headers past the bytes that are looked at. */
START_TEST(endless_extension_headers)
{
	put_ipv6(&vectors6[0], HOP_BY_HOP);
	while (length + 8 <= sizeof(frame))
		put_extension(HOP_BY_HOP, 8);
	assert_hash(0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6_EX);
}
END_TEST

START_TEST(queues)
{
	struct net_rss steered = {.table_size = 4, .unclassified = 7, .table = {3, 2, 1, 0}};

	ck_assert_uint_eq(net_rss_queue(&steered, 0xfffffffe, VIRTIO_NET_HASH_REPORT_IPv4), 1);
	ck_assert_uint_eq(net_rss_queue(&steered, 4, VIRTIO_NET_HASH_REPORT_IPv4), 3);
	ck_assert_uint_eq(net_rss_queue(&steered, 0, VIRTIO_NET_HASH_REPORT_NONE), 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_rss");
	TCase *tc = tcase_create("net_rss");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, ipv4, 0, sizeof(vectors4) / sizeof(vectors4[0]));
	tcase_add_loop_test(tc, ipv6, 0, sizeof(vectors6) / sizeof(vectors6[0]));
	tcase_add_test(tc, types_of_ipv4);
	tcase_add_test(tc, types_of_ipv6);
	tcase_add_test(tc, extension_headers);
	tcase_add_test(tc, mobile_addresses);
	tcase_add_test(tc, bad_options);
	tcase_add_loop_test(tc, fragments_of_ipv4, 0, 4);
	tcase_add_loop_test(tc, fragments_of_ipv6, 0, 2);
	tcase_add_loop_test(tc, options_of_ipv4, 0, 11);
	tcase_add_loop_test(tc, vlan, 0, 2);
	tcase_add_test(tc, not_ip);
	tcase_add_test(tc, padding_is_no_header);
	tcase_add_loop_test(tc, truncated, 0, 2);
	tcase_add_test(tc, endless_extension_headers);
	tcase_add_test(tc, queues);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
