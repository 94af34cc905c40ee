/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_features.h"

#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#define FEATURE(name) (1ULL << (name))
#define NET(name)     FEATURE(VIRTIO_NET_F_##name)
#define GUEST_TSO     (NET(GUEST_TSO4) | NET(GUEST_TSO6))
#define HOST_TSO      (NET(HOST_TSO4) | NET(HOST_TSO6))

const struct net_feature net_features[] = {
	{"csum", NET(CSUM), 0, false},
	{"guest_csum", NET(GUEST_CSUM), 0, false},
	{"guest_tso4", NET(GUEST_TSO4), NET(GUEST_CSUM), false},
	{"guest_tso6", NET(GUEST_TSO6), NET(GUEST_CSUM), false},
	{"guest_ecn", NET(GUEST_ECN), GUEST_TSO, false},
	{"guest_ufo", NET(GUEST_UFO), NET(GUEST_CSUM), false},
	{"guest_uso4", NET(GUEST_USO4), NET(GUEST_CSUM), false},
	{"guest_uso6", NET(GUEST_USO6), NET(GUEST_CSUM), false},
	{"host_tso4", NET(HOST_TSO4), NET(CSUM), false},
	{"host_tso6", NET(HOST_TSO6), NET(CSUM), false},
	{"host_ecn", NET(HOST_ECN), HOST_TSO, false},
	{"host_ufo", NET(HOST_UFO), NET(CSUM), false},
	{"host_uso", NET(HOST_USO), NET(CSUM), false},
	{"mrg_rxbuf", NET(MRG_RXBUF), 0, false},
	{"status", NET(STATUS), 0, false},
	{"speed_duplex", NET(SPEED_DUPLEX), 0, false},
	{"ctrl_vq", NET(CTRL_VQ), 0, false},
	{"ctrl_rx", NET(CTRL_RX), NET(CTRL_VQ), false},
	{"ctrl_rx_extra", NET(CTRL_RX_EXTRA), NET(CTRL_VQ), true},
	{"ctrl_vlan", NET(CTRL_VLAN), NET(CTRL_VQ), false},
	{"ctrl_mac_addr", NET(CTRL_MAC_ADDR), NET(CTRL_VQ), false},
	{"ctrl_guest_offloads", NET(CTRL_GUEST_OFFLOADS), NET(CTRL_VQ), true},
	{"guest_announce", NET(GUEST_ANNOUNCE), NET(CTRL_VQ), false},
	{"mq", NET(MQ), NET(CTRL_VQ), false},
	{"rss", NET(RSS), NET(CTRL_VQ), false},
	{"hash_report", NET(HASH_REPORT), NET(CTRL_VQ), true},
	{"notf_coal", NET(NOTF_COAL), NET(CTRL_VQ), false},
	{"vq_notf_coal", NET(VQ_NOTF_COAL), NET(CTRL_VQ), false},
	{"indirect_desc", FEATURE(VIRTIO_RING_F_INDIRECT_DESC), 0, false},
	{"event_idx", FEATURE(VIRTIO_RING_F_EVENT_IDX), 0, false},
	{"packed", FEATURE(VIRTIO_F_RING_PACKED), 0, false},
	{"in_order", FEATURE(VIRTIO_F_IN_ORDER), 0, false},
	{"notification_data", FEATURE(VIRTIO_F_NOTIFICATION_DATA), 0, false},
	{"ring_reset", FEATURE(VIRTIO_F_RING_RESET), 0, false},
	{NULL, 0, 0, false},
};

const uint64_t net_features_own = NET(MAC) | NET(MTU) | NET(STATUS) | NET(SPEED_DUPLEX) |
				  NET(CTRL_VQ) | NET(CTRL_RX) | NET(CTRL_RX_EXTRA) |
				  NET(CTRL_VLAN) | NET(CTRL_MAC_ADDR) | NET(GUEST_ANNOUNCE) |
				  FEATURE(VIRTIO_F_VERSION_1) |
				  FEATURE(VIRTIO_F_NOTIFICATION_DATA) |
				  FEATURE(VIRTIO_F_RING_RESET);

#define GUEST_OFFLOADS                                                                     \
	(NET(GUEST_CSUM) | GUEST_TSO | NET(GUEST_ECN) | NET(GUEST_UFO) | NET(GUEST_USO4) | \
	 NET(GUEST_USO6))

const uint64_t net_features_guest_offloads = GUEST_OFFLOADS;

const uint64_t net_features_optional = GUEST_OFFLOADS | NET(CTRL_GUEST_OFFLOADS);

const uint64_t net_features_common = NET(MRG_RXBUF) | NET(MQ) |
				     FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
				     FEATURE(VIRTIO_RING_F_EVENT_IDX);

static bool lacks(const struct net_feature *feature, uint64_t features)
{
	return features & feature->bit && feature->needs && !(features & feature->needs);
}

uint64_t net_features_find(const char *name)
{
	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		if (strcmp(feature->name, name) == 0)
			return feature->bit;
	}
	return 0;
}

const struct net_feature *net_features_first(uint64_t features)
{
	uint64_t lowest = features & -features;

	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		if (feature->bit == lowest)
			return feature;
	}
	return NULL;
}

uint64_t net_features_offer(uint64_t features)
{
	uint64_t known = 0, before;

	for (const struct net_feature *feature = net_features; feature->name; feature++)
		known |= feature->bit;
	features &= known;
	do {
		before = features;
		for (const struct net_feature *feature = net_features; feature->name; feature++) {
			if (lacks(feature, features))
				features &= ~feature->bit;
		}
	} while (features != before);
	return features;
}

bool net_features_valid(uint64_t features)
{
	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		if (lacks(feature, features) && !feature->of_device)
			return false;
	}
	return true;
}
