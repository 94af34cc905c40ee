/* SPDX-License-Identifier: Apache-2.0 */
/* Sends one large TCP segment: checksum and segmentation are the device's (5.1.6.2). */
#include "lib/guest.h"
#include "lib/string.h"
#include "net/net_guest.h"

enum {
	TCP_HEADER = 20,
	TCP_CHECKSUM = 16, /* offsets into the TCP header */
	TCP_DATA_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_ACK = 0x10,
	HEADERS = sizeof(struct ethernet_header) + sizeof(struct ipv4_header) + TCP_HEADER,
};

/* RFC 1071, without the complement at the end. */
static unsigned int sum_be16(const uint8_t *data, size_t len)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += read_be16(data + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

void fill_tcp_ip(uint8_t *frame, uint32_t size)
{
	struct ipv4_header *ip = (void *)(frame + sizeof(struct ethernet_header));
	uint8_t *tcp = (uint8_t *)(ip + 1);
	uint8_t pseudo_header[12] = {10, 0, 0, 2, 10, 0, 0, 1, 0, IP_TCP};

	*ip = (struct ipv4_header){.version_length = 0x45, .ttl = 64, .protocol = IP_TCP};
	memcpy(ip->from, pseudo_header, 4);
	memcpy(ip->to, pseudo_header + 4, 4);
	write_be16(ip->length, (uint32_t)sizeof(*ip) + TCP_HEADER + size);
	write_be16(ip->checksum, ~sum_be16((const uint8_t *)ip, sizeof(*ip)));

	write_be16(tcp, 1);	/* source port */
	write_be16(tcp + 2, 2); /* destination port */
	tcp[TCP_DATA_OFFSET] = TCP_HEADER / 4 << 4;
	tcp[TCP_FLAGS] = TCP_ACK;
	/* What the device adds the rest to. */
	write_be16(pseudo_header + 10, TCP_HEADER + size);
	write_be16(tcp + TCP_CHECKSUM, sum_be16(pseudo_header, sizeof(pseudo_header)));
	for (uint32_t i = 0; i < size; i++)
		tcp[TCP_HEADER + i] = (uint8_t)i;
}

void send_large(struct net *net)
{
	static struct net_packet packet;
	uint32_t size = (uint32_t)arg_number("size", 64000);
	uint8_t *frame = alloc_pages(HEADERS + size);

	fill_ethernet((struct ethernet_header *)frame, net, broadcast, ETHERTYPE_IPV4);
	fill_tcp_ip(frame, size);
	packet.header = (struct net_header){
		.flags = NET_NEEDS_CSUM,
		.gso_type = NET_GSO_TCPV4,
		.hdr_len = HEADERS,
		.gso_size = (uint16_t)arg_number("mss", 1448),
		.csum_start = HEADERS - TCP_HEADER,
		.csum_offset = TCP_CHECKSUM,
	};
	packet.n_parts = 2;
	packet.parts[0] = (struct segment){.data = frame, .len = HEADERS};
	packet.parts[1] = (struct segment){.data = frame + HEADERS, .len = size};
	send_and_wait(net, &packet);
}
