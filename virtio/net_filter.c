/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_filter.h"

#include <linux/if_ether.h>
#include <string.h>

static bool in_table(const struct net_mac_table *table, const uint8_t *mac)
{
	for (unsigned int i = 0; i < table->n; i++) {
		if (memcmp(table->macs[i], mac, ETH_ALEN) == 0)
			return true;
	}
	return table->overflow;
}

bool net_filter_accepts(const struct net_filter *filter, const uint8_t *frame, size_t len)
{
	static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (len < ETH_HLEN)
		return false;
	if (filter->vlan_active && !filter->promisc && len >= NET_FILTER_HEADER &&
	    frame[12] == ETH_P_8021Q >> 8 && frame[13] == (ETH_P_8021Q & 0xff)) {
		unsigned int id = (frame[14] & 15u) << 8 | frame[15];

		if (!(filter->vlans[id / 8] >> id % 8 & 1))
			return false;
	}
	if (!filter->active || filter->promisc)
		return true;
	if (memcmp(frame, broadcast, ETH_ALEN) == 0)
		return !filter->nobcast;
	if (frame[0] & 1)
		return !filter->nomulti &&
		       (filter->allmulti || in_table(&filter->multicast, frame));
	if (filter->nouni)
		return false;
	return filter->alluni || memcmp(frame, filter->mac, ETH_ALEN) == 0 ||
	       in_table(&filter->unicast, frame);
}
