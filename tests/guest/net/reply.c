/* SPDX-License-Identifier: Apache-2.0 */
/* Answers ARP, ICMP echo requests, and UDP (RFC 862), in the buffer in which they came. */
#include "lib/guest.h"
#include "lib/string.h"
#include "net/net_guest.h"

static void parse_ip(const char *text, uint8_t ip[4])
{
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int byte = 0;

		for (; *text >= '0' && *text <= '9'; text++)
			byte = byte * 10 + (unsigned int)(*text - '0');
		ip[i] = (uint8_t)byte;
		text += *text == '.';
	}
}

/* Turn a request into its reply. False if it isn't one for us. */
static bool reply_to_arp(const struct net *net, struct arp_packet *arp, const uint8_t ip[4])
{
	if (read_be16(arp->operation) != ARP_REQUEST || memcmp(arp->target_ip, ip, 4) != 0)
		return false;
	write_be16(arp->operation, ARP_REPLY);
	memcpy(arp->target_mac, arp->sender_mac, 6);
	memcpy(arp->target_ip, arp->sender_ip, 4);
	memcpy(arp->sender_mac, net->mac, 6);
	memcpy(arp->sender_ip, ip, 4);
	fill_ethernet(&arp->ethernet, net, arp->target_mac, ETHERTYPE_ARP);
	return true;
}

static bool reply_to_icmp(const struct net *net, struct icmp_packet *icmp, const uint8_t ip[4])
{
	unsigned int checksum;

	if (icmp->ip.protocol != IP_ICMP || memcmp(icmp->ip.to, ip, 4) != 0 ||
	    icmp->type != ICMP_ECHO_REQUEST)
		return false;
	memcpy(icmp->ip.to, icmp->ip.from, 4);
	memcpy(icmp->ip.from, ip, 4);
	icmp->type = ICMP_ECHO_REPLY;
	/* RFC 1624: what the data has less, the checksum has more. */
	checksum = read_be16(icmp->checksum) + ((ICMP_ECHO_REQUEST - ICMP_ECHO_REPLY) << 8);
	write_be16(icmp->checksum, checksum + (checksum >> 16));
	fill_ethernet(&icmp->ethernet, net, icmp->ethernet.from, ETHERTYPE_IPV4);
	return true;
}

/* Back to where it came from; its checksum doesn't mind who is who. */
static bool reply_to_udp(const struct net *net, struct udp_packet *udp, const uint8_t ip[4])
{
	uint8_t port[2];

	if (udp->ip.protocol != IP_UDP || memcmp(udp->ip.to, ip, 4) != 0)
		return false;
	memcpy(udp->ip.to, udp->ip.from, 4);
	memcpy(udp->ip.from, ip, 4);
	memcpy(port, udp->to_port, 2);
	memcpy(udp->to_port, udp->from_port, 2);
	memcpy(udp->from_port, port, 2);
	fill_ethernet(&udp->ethernet, net, udp->ethernet.from, ETHERTYPE_IPV4);
	return true;
}

static bool make_reply(const struct net *net, void *frame, uint32_t len)
{
	const struct ethernet_header *ethernet = frame;
	uint8_t ip[4];

	parse_ip(arg_string("ip", "10.0.0.2"), ip);
	if (read_be16(ethernet->type) == ETHERTYPE_ARP && len >= sizeof(struct arp_packet))
		return reply_to_arp(net, frame, ip);
	if (read_be16(ethernet->type) != ETHERTYPE_IPV4)
		return false;
	return (len >= sizeof(struct icmp_packet) && reply_to_icmp(net, frame, ip)) ||
	       (len >= sizeof(struct udp_packet) && reply_to_udp(net, frame, ip));
}

bool reply(struct net *net, struct net_packet *packet)
{
	if (!make_reply(net, first_part(packet), packet->parts[0].len))
		return false;
	packet->header = (struct net_header){.flags = 0};
	send_and_wait(net, packet);
	return true;
}
