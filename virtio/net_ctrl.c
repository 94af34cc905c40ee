/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the control queue (virtio 1.3, 5.1.6.5). */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "virtio/net_device.h"
#include "virtio/net_features.h"

/* What Debian 12's headers (Linux 6.1) lack: 5.1.6.5.9. */
#ifndef VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET 2
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET 3
#endif

enum {
	HEADER_SIZE = sizeof(struct virtio_net_ctrl_hdr),
	RECEIVE = 0, /* of a queue's index, modulo 2 */
	TRANSMIT = 1,
};
_Static_assert(HEADER_SIZE == 2, "5.1.6.5: class and command");

#define FEATURE(name) (1ULL << (name))

/* A command: what of its data was not taken yet. */
struct command {
	uint8_t number;
	const uint8_t *data;
	size_t len;
	uint8_t *reply; /* zeroes, to fill */
};

/* --- taking data apart --- */

static bool take(struct command *cmd, void *to, size_t len)
{
	if (cmd->len < len)
		return false;
	memcpy(to, cmd->data, len);
	cmd->data += len;
	cmd->len -= len;
	return true;
}

static bool take_u8(struct command *cmd, uint8_t *to)
{
	return take(cmd, to, sizeof(*to));
}

static bool take_le16(struct command *cmd, uint16_t *to)
{
	bool ok = take(cmd, to, sizeof(*to));

	*to = ok ? le16toh(*to) : 0;
	return ok;
}

static bool take_le32(struct command *cmd, uint32_t *to)
{
	bool ok = take(cmd, to, sizeof(*to));

	*to = ok ? le32toh(*to) : 0;
	return ok;
}

static bool take_le64(struct command *cmd, uint64_t *to)
{
	bool ok = take(cmd, to, sizeof(*to));

	*to = ok ? le64toh(*to) : 0;
	return ok;
}

/* --- receive filters (5.1.6.5.1 to 5.1.6.5.3) --- */

static int apply_filter(const struct net *net, const struct net_filter *filter)
{
	struct datapath *dp = net->datapath;

	return dp->ops->set_filter ? dp->ops->set_filter(dp, filter) : 0;
}

static bool set_filter(struct net *net, const struct net_filter *filter)
{
	if (apply_filter(net, filter))
		return false;
	net->ctrl.filter = *filter;
	return true;
}

static bool *rx_mode(struct net_filter *filter, uint8_t command)
{
	switch (command) {
	case VIRTIO_NET_CTRL_RX_PROMISC:
		return &filter->promisc;
	case VIRTIO_NET_CTRL_RX_ALLMULTI:
		return &filter->allmulti;
	case VIRTIO_NET_CTRL_RX_ALLUNI:
		return &filter->alluni;
	case VIRTIO_NET_CTRL_RX_NOMULTI:
		return &filter->nomulti;
	case VIRTIO_NET_CTRL_RX_NOUNI:
		return &filter->nouni;
	default:
		return &filter->nobcast;
	}
}

static bool rx_mode_set(struct net *net, struct command *cmd)
{
	struct net_filter filter = net->ctrl.filter;
	uint8_t on;

	if (!take_u8(cmd, &on) || cmd->len)
		return false;
	*rx_mode(&filter, cmd->number) = on;
	return set_filter(net, &filter);
}

static bool take_mac_table(struct command *cmd, struct net_mac_table *table)
{
	uint32_t entries;
	size_t len;

	*table = (struct net_mac_table){0};
	if (!take_le32(cmd, &entries) || entries > cmd->len / ETH_ALEN)
		return false;
	len = (size_t)entries * ETH_ALEN;
	table->overflow = entries > NET_FILTER_MACS;
	if (!table->overflow) {
		table->n = (uint16_t)entries;
		memcpy(table->macs, cmd->data, len);
	}
	cmd->data += len;
	cmd->len -= len;
	return true;
}

static bool mac_table_set(struct net *net, struct command *cmd)
{
	struct net_filter filter = net->ctrl.filter;

	if (!take_mac_table(cmd, &filter.unicast) || !take_mac_table(cmd, &filter.multicast) ||
	    cmd->len)
		return false;
	return set_filter(net, &filter);
}

static bool mac_addr_set(struct net *net, struct command *cmd)
{
	struct net_filter filter = net->ctrl.filter;

	if (!take(cmd, filter.mac, sizeof(filter.mac)) || cmd->len || !set_filter(net, &filter))
		return false;
	net_set_mac(net, filter.mac);
	return true;
}

static bool vlan_set(struct net *net, struct command *cmd)
{
	struct net_filter filter = net->ctrl.filter;
	uint8_t bit;
	uint16_t id;

	if (!take_le16(cmd, &id) || cmd->len || id >= NET_FILTER_VLANS)
		return false;
	bit = (uint8_t)(1u << id % 8);
	if (cmd->number == VIRTIO_NET_CTRL_VLAN_ADD)
		filter.vlans[id / 8] |= bit;
	else
		filter.vlans[id / 8] &= (uint8_t)~bit;
	return set_filter(net, &filter);
}

/* --- announcements (5.1.6.5.4) --- */

static bool announce_ack(struct net *net, struct command *cmd)
{
	if (cmd->len)
		return false;
	net_clear_announce(net);
	return true;
}

/* --- steering (5.1.6.5.5 to 5.1.6.5.7) --- */

static int apply_pairs(const struct net *net, unsigned int pairs)
{
	struct datapath *dp = net->datapath;

	return dp->ops->set_queue_pairs ? dp->ops->set_queue_pairs(dp, pairs) : 0;
}

static int apply_rss(const struct net *net, const struct net_rss *rss)
{
	struct datapath *dp = net->datapath;
	bool on = rss->table_size || rss->hash_types;

	return dp->ops->set_rss ? dp->ops->set_rss(dp, on ? rss : NULL) : 0;
}

/* The number of pairs and the choice among them, both or neither. */
static bool steer(struct net *net, unsigned int pairs, const struct net_rss *rss)
{
	struct net_ctrl_state *ctrl = &net->ctrl;
	unsigned int both = pairs > ctrl->pairs ? pairs : ctrl->pairs;

	/* The queues that either way of steering uses must be there while one follows the other. */
	if (both != ctrl->pairs && apply_pairs(net, both))
		return false;
	if (memcmp(rss, &ctrl->rss, sizeof(*rss)) != 0 && apply_rss(net, rss)) {
		apply_pairs(net, ctrl->pairs);
		return false;
	}
	if (both != pairs && apply_pairs(net, pairs)) {
		apply_rss(net, &ctrl->rss);
		return false;
	}
	ctrl->pairs = pairs;
	ctrl->rss = *rss;
	return true;
}

/* 5.1.6.5.5: the last command decides which way of steering is used. */
static bool vq_pairs_set(struct net *net, struct command *cmd)
{
	struct net_rss rss = net->ctrl.rss;
	uint16_t pairs;

	if (!take_le16(cmd, &pairs) || cmd->len || pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN ||
	    pairs > net_pairs(net))
		return false;
	rss.table_size = 0;
	return steer(net, pairs, &rss);
}

static bool take_hash_types(struct command *cmd, struct net_rss *rss)
{
	return take_le32(cmd, &rss->hash_types) &&
	       !(rss->hash_types & ~(uint32_t)NET_RSS_HASH_TYPES);
}

/* The last field. A key that is shorter than what can be hashed goes on with zeroes. */
static bool take_key(struct command *cmd, struct net_rss *rss)
{
	uint8_t len;

	return take_u8(cmd, &len) && len <= sizeof(rss->key) && take(cmd, rss->key, len) &&
	       !cmd->len;
}

/* A receive queue's number; *@pairs becomes large enough for it. */
static bool take_receive_queue(const struct net *net, struct command *cmd, uint16_t *queue,
			       unsigned int *pairs)
{
	/* 5.1.6.5.7.1: bits 1 to 16 of the queue's index; bit 15 of that is reserved. */
	if (!take_le16(cmd, queue) || *queue >= net_pairs(net))
		return false;
	if (*pairs <= *queue)
		*pairs = *queue + 1u;
	return true;
}

static bool rss_config(struct net *net, struct command *cmd)
{
	struct net_rss rss = {0};
	uint16_t mask, transmit_queues;
	unsigned int pairs = 1;

	if (!take_hash_types(cmd, &rss) || !take_le16(cmd, &mask) || mask >= NET_RSS_TABLE_MAX ||
	    mask & (mask + 1) || !take_receive_queue(net, cmd, &rss.unclassified, &pairs))
		return false;
	rss.table_size = (uint16_t)(mask + 1);
	for (unsigned int i = 0; i < rss.table_size; i++) {
		if (!take_receive_queue(net, cmd, &rss.table[i], &pairs))
			return false;
	}
	if (!take_le16(cmd, &transmit_queues) || !transmit_queues ||
	    transmit_queues > net_pairs(net) || !take_key(cmd, &rss))
		return false;
	/* Any queue transmits; to receive on more than these would give packets to nobody. */
	return steer(net, pairs, &rss);
}

static bool hash_config(struct net *net, struct command *cmd)
{
	struct net_rss rss = {0};
	uint8_t reserved[8]; /* Linux fills it */

	if (!take_hash_types(cmd, &rss) || !take(cmd, reserved, sizeof(reserved)) ||
	    !take_key(cmd, &rss))
		return false;
	return steer(net, net->ctrl.pairs, &rss);
}

/* --- offloads (5.1.6.5.8) --- */

static int apply_offloads(const struct net *net, uint64_t offloads)
{
	struct datapath *dp = net->datapath;

	return dp->ops->set_offloads ? dp->ops->set_offloads(dp, offloads) : 0;
}

static bool guest_offloads_set(struct net *net, struct command *cmd)
{
	uint64_t offloads;

	if (!take_le64(cmd, &offloads) || cmd->len ||
	    offloads & ~(net->dev.accepted & net_features_guest_offloads) ||
	    !net_features_valid(offloads) || apply_offloads(net, offloads))
		return false;
	net->ctrl.offloads = offloads;
	return true;
}

/* --- coalescing (5.1.6.5.9) --- */

static int apply_coalescing(const struct net *net, unsigned int index,
			    const struct net_coalescing *coal)
{
	struct datapath *dp = net->datapath;

	if (!dp->ops->set_coalescing)
		return 0;
	return dp->ops->set_coalescing(dp, index, coal->max_packets, coal->max_usecs);
}

static bool take_coalescing(struct command *cmd, struct net_coalescing *coal)
{
	return take_le32(cmd, &coal->max_packets) && take_le32(cmd, &coal->max_usecs);
}

static bool coal_direction_set(struct net *net, struct command *cmd)
{
	unsigned int direction = cmd->number == VIRTIO_NET_CTRL_NOTF_COAL_TX_SET ? TRANSMIT
										 : RECEIVE;
	struct net_coalescing coal;
	unsigned int i;

	if (!take_coalescing(cmd, &coal) || cmd->len)
		return false;
	for (i = direction; i < 2 * net_pairs(net); i += 2) {
		if (apply_coalescing(net, i, &coal))
			break;
	}
	if (i < 2 * net_pairs(net)) {
		while (i > direction) {
			i -= 2;
			apply_coalescing(net, i, &net->ctrl.queue[i]);
		}
		return false;
	}
	net->ctrl.direction[direction] = coal;
	for (i = direction; i < 2 * net_pairs(net); i += 2)
		net->ctrl.queue[i] = coal;
	return true;
}

/* The index of an enabled queue of packets, and a reserved field. */
static bool take_queue(const struct net *net, struct command *cmd, uint16_t *index)
{
	uint16_t reserved;

	if (!take_le16(cmd, index) || !take_le16(cmd, &reserved))
		return false;
	return *index < 2 * net_pairs(net) && net->dev.queues[*index].ready;
}

static bool coal_queue_set(struct net *net, struct command *cmd)
{
	struct net_coalescing coal;
	uint16_t index;

	if (!take_queue(net, cmd, &index) || !take_coalescing(cmd, &coal) || cmd->len ||
	    apply_coalescing(net, index, &coal))
		return false;
	net->ctrl.queue[index] = coal;
	return true;
}

static bool coal_queue_get(struct net *net, struct command *cmd)
{
	struct net_coalescing coal;
	uint16_t index;

	if (!take_queue(net, cmd, &index) || cmd->len)
		return false;
	coal.max_packets = htole32(net->ctrl.queue[index].max_packets);
	coal.max_usecs = htole32(net->ctrl.queue[index].max_usecs);
	memcpy(cmd->reply, &coal, sizeof(coal));
	return true;
}
_Static_assert(sizeof(struct net_coalescing) == 8, "5.1.6.5.9: struct virtio_net_ctrl_coal");

void net_ctrl_queue_enabled(struct net *net, unsigned int index)
{
	struct net_ctrl_state *ctrl = &net->ctrl;

	if (memcmp(&ctrl->queue[index], &ctrl->direction[index % 2], sizeof(ctrl->queue[0])) != 0 &&
	    !apply_coalescing(net, index, &ctrl->direction[index % 2]))
		ctrl->queue[index] = ctrl->direction[index % 2];
}

/* --- all of them --- */

#define RX(name)   VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_##name
#define MAC(name)  VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_##name
#define VLAN(name) VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_##name
#define MQ(name)   VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_##name
#define COAL(name) VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_##name

static const struct {
	uint8_t class;
	uint8_t command;
	unsigned int feature; /* that brings it */
	bool (*execute)(struct net *net, struct command *cmd);
	size_t reply; /* bytes of data before the ack */
} commands[] = {
	{RX(PROMISC), VIRTIO_NET_F_CTRL_RX, rx_mode_set, 0},
	{RX(ALLMULTI), VIRTIO_NET_F_CTRL_RX, rx_mode_set, 0},
	{RX(ALLUNI), VIRTIO_NET_F_CTRL_RX_EXTRA, rx_mode_set, 0},
	{RX(NOMULTI), VIRTIO_NET_F_CTRL_RX_EXTRA, rx_mode_set, 0},
	{RX(NOUNI), VIRTIO_NET_F_CTRL_RX_EXTRA, rx_mode_set, 0},
	{RX(NOBCAST), VIRTIO_NET_F_CTRL_RX_EXTRA, rx_mode_set, 0},
	{MAC(TABLE_SET), VIRTIO_NET_F_CTRL_RX, mac_table_set, 0},
	{MAC(ADDR_SET), VIRTIO_NET_F_CTRL_MAC_ADDR, mac_addr_set, 0},
	{VLAN(ADD), VIRTIO_NET_F_CTRL_VLAN, vlan_set, 0},
	{VLAN(DEL), VIRTIO_NET_F_CTRL_VLAN, vlan_set, 0},
	{VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE,
	 announce_ack, 0},
	{MQ(VQ_PAIRS_SET), VIRTIO_NET_F_MQ, vq_pairs_set, 0},
	{MQ(RSS_CONFIG), VIRTIO_NET_F_RSS, rss_config, 0},
	{MQ(HASH_CONFIG), VIRTIO_NET_F_HASH_REPORT, hash_config, 0},
	{VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	 VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, guest_offloads_set, 0},
	{COAL(TX_SET), VIRTIO_NET_F_NOTF_COAL, coal_direction_set, 0},
	{COAL(RX_SET), VIRTIO_NET_F_NOTF_COAL, coal_direction_set, 0},
	{COAL(VQ_SET), VIRTIO_NET_F_VQ_NOTF_COAL, coal_queue_set, 0},
	{COAL(VQ_GET), VIRTIO_NET_F_VQ_NOTF_COAL, coal_queue_get, sizeof(struct net_coalescing)},
};

static bool sets_filter(uint8_t class)
{
	return class == VIRTIO_NET_CTRL_RX || class == VIRTIO_NET_CTRL_MAC ||
	       class == VIRTIO_NET_CTRL_VLAN;
}

void net_ctrl_execute(struct net *net, const uint8_t *data, size_t len,
		      struct net_ctrl_reply *reply)
{
	bool ok = false;

	*reply = (struct net_ctrl_reply){.len = 1};
	for (size_t i = 0; len >= HEADER_SIZE && i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct command cmd = {data[1], data + HEADER_SIZE, len - HEADER_SIZE, reply->bytes};

		if (commands[i].class != data[0] || commands[i].command != data[1])
			continue;
		reply->len += commands[i].reply;
		ok = net_accepted(net, commands[i].feature) && commands[i].execute(net, &cmd);
		break;
	}
	reply->bytes[reply->len - 1] = ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	if (ok && net->filter_changed && sets_filter(data[0]))
		net->filter_changed(net->opaque);
}

void net_ctrl_reset(struct net *net)
{
	bool rx = net_accepted(net, VIRTIO_NET_F_CTRL_RX);

	net->ctrl = (struct net_ctrl_state){
		.filter =
			{
				/* Until told otherwise everything passes, as drivers know it from
				   others. */
				.active = rx || net_accepted(net, VIRTIO_NET_F_CTRL_RX_EXTRA),
				.promisc = rx,
				.alluni = !rx,
				.allmulti = !rx,
				.vlan_active = net_accepted(net, VIRTIO_NET_F_CTRL_VLAN),
			},
		.pairs = 1,
		.offloads = net->dev.accepted & net_features_guest_offloads,
	};
	memcpy(net->ctrl.filter.mac, net->mac, sizeof(net->mac));
}

int net_ctrl_apply(struct net *net)
{
	struct net_ctrl_state *ctrl = &net->ctrl;
	int ret = 0;

	/* A datapath begins with no filter, no RSS, all offloads and no coalescing. */
	if (ctrl->filter.active || ctrl->filter.vlan_active)
		ret = apply_filter(net, &ctrl->filter);
	if (!ret && net->max_pairs > 1)
		ret = apply_pairs(net, ctrl->pairs);
	if (!ret && (ctrl->rss.table_size || ctrl->rss.hash_types))
		ret = apply_rss(net, &ctrl->rss);
	if (!ret && ctrl->offloads != (net->dev.accepted & net_features_guest_offloads))
		ret = apply_offloads(net, ctrl->offloads);
	for (unsigned int i = 0; i < 2 * net_pairs(net) && !ret; i++) {
		if (ctrl->queue[i].max_packets || ctrl->queue[i].max_usecs)
			ret = apply_coalescing(net, i, &ctrl->queue[i]);
	}
	return ret;
}
