/* SPDX-License-Identifier: Apache-2.0 */
/* Which received packets the driver wants (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3). */
#ifndef VIRTIO_NET_FILTER_H
#define VIRTIO_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NET_FILTER_MACS = 64, /* addresses of a kind that are kept; more are received unfiltered */
	NET_FILTER_VLANS = 4096,
	NET_FILTER_HEADER = 18, /* bytes of a frame that decide: Ethernet and one VLAN tag */
};

struct net_mac_table {
	uint16_t n;
	bool overflow; /* the driver gave more than there is room for: all of them pass */
	uint8_t macs[NET_FILTER_MACS][6];
};

struct net_filter {
	bool active;  /* CTRL_RX was negotiated; else everything passes */
	bool promisc; /* everything passes, whatever else is set */
	bool allmulti;
	bool alluni, nomulti, nouni, nobcast; /* VIRTIO_NET_F_CTRL_RX_EXTRA */
	bool vlan_active;		      /* CTRL_VLAN was negotiated; else tags don't matter */
	uint8_t mac[6];			      /* the device's own */
	struct net_mac_table unicast, multicast;
	uint8_t vlans[NET_FILTER_VLANS / 8];
};

/*
 * Whether the driver wants the frame of which @len bytes (NET_FILTER_HEADER are enough) are here,
 * the destination first. Never waits nor allocates. Any thread, while nobody changes @filter.
 */
bool net_filter_accepts(const struct net_filter *filter, const uint8_t *frame, size_t len);

#endif
