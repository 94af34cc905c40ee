/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the guest "net" share: main.c says what it does. */
#ifndef GUEST_NET_NET_GUEST_H
#define GUEST_NET_NET_GUEST_H

#include <stdint.h>

#include "lib/frame.h"
#include "lib/virtio_net.h"

enum {
	SILENCE_MS = 15000, /* after which the guest gives up */
};

struct counts {
	uint64_t received;
	uint64_t sent;
	uint64_t wrong; /* received, but with other contents than expected, or out of order */
	uint64_t noise; /* received, but of no concern */
};

extern struct counts counts;

/* main.c */
void fill_ethernet(struct ethernet_header *header, const struct net *net, const uint8_t to[6],
		   unsigned int type);
void send_and_wait(struct net *net, struct net_packet *packet);

/* tso.c: what follows the Ethernet header, with @size bytes of data; the checksum is left to do. */
void fill_tcp_ip(uint8_t *frame, uint32_t size);

static inline void *first_part(const struct net_packet *packet)
{
	return packet->parts[0].data;
}

extern const uint8_t broadcast[6];

/*
 * One function per mode. Those that serve get each packet that was received, and say whether it
 * was of concern to them.
 */
bool reply(struct net *net, struct net_packet *packet);
bool bounce(struct net *net, struct net_packet *packet);
void send_many(struct net *net);
void send_large(struct net *net);
void pump(struct net *net);
void stream(struct net *net);
void ping(struct net *net);

#endif
