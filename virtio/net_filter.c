/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_filter.h"

#include <linux/if_ether.h>
#include <string.h>

_Static_assert((int)NET_FILTER_HEADER == (int)ETH_HLEN + 4, "an 802.1Q tag has four bytes");

static bool contains(const struct net_mac_table *table, const uint8_t *mac)
{
	if (table->overflow)
		return true;
	for (unsigned int i = 0; i < table->n; i++) {
		if (memcmp(table->macs[i], mac, ETH_ALEN) == 0)
			return true;
	}
	return false;
}

/* 5.1.6.5.3. A tag with VLAN 0 carries a priority and no VLAN (IEEE 802.1Q, 9.6). */
static bool vlan_accepts(const struct net_filter *filter, const uint8_t *frame, size_t len)
{
	unsigned int vlan;

	if (len < NET_FILTER_HEADER || frame[12] != ETH_P_8021Q >> 8 ||
	    frame[13] != (ETH_P_8021Q & 0xff))
		return true;
	vlan = (frame[14] & 0xfu) << 8 | frame[15];
	return !vlan || filter->vlans[vlan / 8] >> vlan % 8 & 1;
}

/* 5.1.6.5.1 and 5.1.6.5.2; what suppresses goes before what allows. */
static bool address_accepts(const struct net_filter *filter, const uint8_t *to)
{
	static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (!(to[0] & 1))
		return !filter->nouni &&
		       (filter->alluni || memcmp(to, filter->mac, ETH_ALEN) == 0 ||
			contains(&filter->unicast, to));
	if (memcmp(to, broadcast, ETH_ALEN) == 0)
		return !filter->nobcast;
	return !filter->nomulti && (filter->allmulti || contains(&filter->multicast, to));
}

bool net_filter_accepts(const struct net_filter *filter, const uint8_t *frame, size_t len)
{
	/* Promiscuous is that, whatever else is set: VLANs, too, as with any network card. */
	if (filter->active && filter->promisc)
		return true;
	if (filter->vlan_active && !vlan_accepts(filter, frame, len))
		return false;
	return !filter->active || (len >= ETH_HLEN && address_accepts(filter, frame));
}
