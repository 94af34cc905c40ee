/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_rss.h"

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

enum {
	IPV4_SIZE = 20,
	IPV6_SIZE = 40,
	ADDRESS_OFFSET_4 = 12, /* of the source; the destination's follows it */
	ADDRESS_OFFSET_6 = 8,
	VLAN_TAGS = 2,
	OPTION_PAD1 = 0,
	OPTION_HOME_ADDRESS = 201, /* RFC 6275, 6.3 */
	ROUTING_TYPE_2 = 2,	   /* RFC 6275, 6.4 */
	TCP_DATA_OFFSET = 12,	   /* of the byte that has it in its upper half, in words */
	INPUT_MAX = 2 * 16 + 4,	   /* bytes that are hashed: addresses and ports */
};
_Static_assert((int)INPUT_MAX + 4 <= (int)NET_RSS_KEY_SIZE, "each bit has 32 bits of key");
_Static_assert(1 << (VIRTIO_NET_HASH_REPORT_UDPv6_EX - 1) == VIRTIO_NET_RSS_HASH_TYPE_UDP_EX,
	       "5.1.6.4.5: TYPE is 1 << (REPORT - 1)");

/* What a frame has that may be hashed; it points into the frame. */
struct headers {
	unsigned int version;	  /* of IP: 4 or 6; 0: neither */
	bool extended;		  /* an IPv6 extension header is there */
	const uint8_t *addresses; /* source, then destination */
	const uint8_t *home;	  /* of the Home Address option, or NULL */
	const uint8_t *routed;	  /* of the routing header type 2, or NULL */
	const uint8_t *ports;	  /* source, then destination; NULL: no TCP or UDP header */
	unsigned int protocol;	  /* IPPROTO_TCP or IPPROTO_UDP, if there are ports */
};

static unsigned int load16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static uint32_t load32(const uint8_t *at)
{
	return (uint32_t)load16(at) << 16 | load16(at + 2);
}

/* --- parsing: @end is one past the last byte that is here --- */

static void parse_transport(struct headers *headers, unsigned int protocol, const uint8_t *at,
			    const uint8_t *end)
{
	if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || end - at < 4)
		return;
	headers->protocol = protocol;
	headers->ports = at;
}

static void parse_ipv4(struct headers *headers, const uint8_t *at, const uint8_t *end)
{
	unsigned int size, total;

	if (end - at < IPV4_SIZE || at[0] >> 4 != 4)
		return;
	size = (at[0] & 15u) * 4;
	total = load16(at + 2);
	if (size < IPV4_SIZE || end - at < (ptrdiff_t)size)
		return;
	headers->version = 4;
	headers->addresses = at + ADDRESS_OFFSET_4;
	/* Fragments of a packet have one hash, and only the first has ports. */
	if (load16(at + 6) & 0x3fff)
		return;
	/* What pads a short frame is not of the packet. */
	if (total >= size && end - at > (ptrdiff_t)total)
		end = at + total;
	parse_transport(headers, at[9], at + size, end);
}

/* The Home Address in the options of @size bytes at @at, or NULL. */
static const uint8_t *find_home_address(const uint8_t *at, size_t size)
{
	size_t i = 2; /* the next header and the length come first */

	while (i < size) {
		size_t len;

		if (at[i] == OPTION_PAD1) {
			i++;
			continue;
		}
		if (size - i < 2)
			break;
		len = 2u + at[i + 1];
		if (len > size - i)
			break;
		if (at[i] == OPTION_HOME_ADDRESS && len == 2 + 16)
			return at + i + 2;
		i += len;
	}
	return NULL;
}

/* The size of the IPv6 extension header of that type, whose first 8 bytes are at @at; 0: none. */
static size_t extension_size(unsigned int type, const uint8_t *at)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
		return (at[1] + 1UL) * 8;
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return (at[1] + 2UL) * 4;
	default:
		return 0;
	}
}

static void parse_ipv6(struct headers *headers, const uint8_t *at, const uint8_t *end)
{
	static const uint8_t none[8];
	unsigned int type, payload;

	if (end - at < IPV6_SIZE || at[0] >> 4 != 6)
		return;
	headers->version = 6;
	headers->addresses = at + ADDRESS_OFFSET_6;
	type = at[6];
	payload = load16(at + 4);
	at += IPV6_SIZE;
	/* 0: a jumbogram. */
	if (payload && end - at > (ptrdiff_t)payload)
		end = at + payload;
	while (extension_size(type, none)) {
		size_t size;

		headers->extended = true;
		if (end - at < 8)
			return;
		size = extension_size(type, at);
		if (end - at < (ptrdiff_t)size)
			return;
		if (type == IPPROTO_DSTOPTS && !headers->home)
			headers->home = find_home_address(at, size);
		else if (type == IPPROTO_ROUTING && at[2] == ROUTING_TYPE_2 && size == 24)
			headers->routed = at + 8;
		else if (type == IPPROTO_FRAGMENT && load16(at + 2) & 0xfff9)
			return; /* not one that is all of its packet (RFC 6946) */
		type = at[0];
		at += size;
	}
	parse_transport(headers, type, at, end);
}

static struct headers parse(const uint8_t *frame, size_t len)
{
	const uint8_t *end = frame + (len < NET_RSS_HEADER ? len : NET_RSS_HEADER);
	const uint8_t *at = frame + 2UL * ETH_ALEN; /* the EtherType */
	struct headers headers = {0};

	if (len < ETH_HLEN)
		return headers;
	for (int tags = 0; tags < VLAN_TAGS; tags++) {
		unsigned int type = load16(at);

		if ((type != ETH_P_8021Q && type != ETH_P_8021AD) || end - at < 2 + 4)
			break;
		at += 4;
	}
	switch (load16(at)) {
	case ETH_P_IP:
		parse_ipv4(&headers, at + 2, end);
		break;
	case ETH_P_IPV6:
		parse_ipv6(&headers, at + 2, end);
		break;
	default:
		break;
	}
	return headers;
}

bool net_rss_is_bare_segment(const uint8_t *frame, size_t len, size_t frame_len)
{
	const struct headers headers = parse(frame, len);
	const uint8_t *tcp = headers.ports;

	if (!tcp || headers.protocol != IPPROTO_TCP || frame + len - tcp <= TCP_DATA_OFFSET)
		return false;
	return (size_t)(tcp - frame) + (tcp[TCP_DATA_OFFSET] >> 4) * 4UL >= frame_len;
}

/* --- hashing --- */

/*
 * Toeplitz: the sum (without carry) of 32 bits of the key for each bit of the input that is 1,
 * from the bit of the key on that has the same number. @len is a multiple of 4.
 */
static uint32_t toeplitz(const uint8_t *key, const uint8_t *input, size_t len)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < len; i += 4) {
		uint64_t window = (uint64_t)load32(key + i) << 32 | load32(key + i + 4);
		uint32_t word = load32(input + i);

		for (int bit = 0; bit < 32; bit++) {
			/* No branch: it would be mispredicted half the time. */
			hash ^= (uint32_t)(window >> 32) & (0 - (word >> 31));
			window <<= 1;
			word <<= 1;
		}
	}
	return hash;
}

/* The report of the first of three types that is enabled and fits: TCP, UDP, the addresses. */
static uint16_t choose(const struct net_rss *rss, const struct headers *headers, uint16_t ip,
		       uint16_t tcp, uint16_t udp)
{
	if (headers->protocol == IPPROTO_TCP && rss->hash_types >> (tcp - 1) & 1)
		return tcp;
	if (headers->protocol == IPPROTO_UDP && rss->hash_types >> (udp - 1) & 1)
		return udp;
	if (rss->hash_types >> (ip - 1) & 1)
		return ip;
	return VIRTIO_NET_HASH_REPORT_NONE;
}

uint32_t net_rss_hash(const struct net_rss *rss, const uint8_t *frame, size_t len, uint16_t *report)
{
	struct headers headers = parse(frame, len);
	size_t address = headers.version == 4 ? 4 : 16, n = 2 * address;
	uint8_t input[INPUT_MAX];

	*report = VIRTIO_NET_HASH_REPORT_NONE;
	if (headers.version == 4)
		*report = choose(rss, &headers, VIRTIO_NET_HASH_REPORT_IPv4,
				 VIRTIO_NET_HASH_REPORT_TCPv4, VIRTIO_NET_HASH_REPORT_UDPv4);
	if (headers.extended)
		*report = choose(rss, &headers, VIRTIO_NET_HASH_REPORT_IPv6_EX,
				 VIRTIO_NET_HASH_REPORT_TCPv6_EX, VIRTIO_NET_HASH_REPORT_UDPv6_EX);
	/* 5.1.6.4.3.4: without any *_EX type the extension headers are skipped. */
	if (headers.version == 6 && !*report) {
		headers.home = headers.routed = NULL;
		*report = choose(rss, &headers, VIRTIO_NET_HASH_REPORT_IPv6,
				 VIRTIO_NET_HASH_REPORT_TCPv6, VIRTIO_NET_HASH_REPORT_UDPv6);
	}
	if (!*report)
		return 0;

	memcpy(input, headers.addresses, n);
	if (headers.home)
		memcpy(input, headers.home, address);
	if (headers.routed)
		memcpy(input + address, headers.routed, address);
	if (*report != VIRTIO_NET_HASH_REPORT_IPv4 && *report != VIRTIO_NET_HASH_REPORT_IPv6 &&
	    *report != VIRTIO_NET_HASH_REPORT_IPv6_EX) {
		memcpy(input + n, headers.ports, 4);
		n += 4;
	}
	return toeplitz(rss->key, input, n);
}
