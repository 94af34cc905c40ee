/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue of a network device (virtio 1.3, 5.1.6.5). */
#ifndef GUEST_LIB_VIRTIO_NET_CONTROL_H
#define GUEST_LIB_VIRTIO_NET_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/virtqueue.h"

enum net_control_class {
	NET_CTRL_RX = 0,
	NET_CTRL_MAC = 1,
	NET_CTRL_VLAN = 2,
	NET_CTRL_ANNOUNCE = 3,
	NET_CTRL_MQ = 4,
	NET_CTRL_GUEST_OFFLOADS = 5,
	NET_CTRL_NOTF_COAL = 6,
	NET_CTRL_HASH_TUNNEL = 7,
};

enum net_control_command {
	NET_CTRL_RX_PROMISC = 0, /* class NET_CTRL_RX */
	NET_CTRL_RX_ALLMULTI = 1,
	NET_CTRL_RX_ALLUNI = 2,
	NET_CTRL_RX_NOMULTI = 3,
	NET_CTRL_RX_NOUNI = 4,
	NET_CTRL_RX_NOBCAST = 5,
	NET_CTRL_MAC_TABLE_SET = 0,
	NET_CTRL_MAC_ADDR_SET = 1,
	NET_CTRL_VLAN_ADD = 0,
	NET_CTRL_VLAN_DEL = 1,
	NET_CTRL_ANNOUNCE_ACK = 0,
	NET_CTRL_MQ_VQ_PAIRS_SET = 0,
	NET_CTRL_MQ_RSS_CONFIG = 1,
	NET_CTRL_MQ_HASH_CONFIG = 2,
	NET_CTRL_GUEST_OFFLOADS_SET = 0,
	NET_CTRL_NOTF_COAL_TX_SET = 0,
	NET_CTRL_NOTF_COAL_RX_SET = 1,
	NET_CTRL_NOTF_COAL_VQ_SET = 2,
	NET_CTRL_NOTF_COAL_VQ_GET = 3,
};

enum net_control_ack {
	NET_CTRL_OK = 0,
	NET_CTRL_ERR = 1,
	NET_CTRL_SILENCE = 0xff, /* no answer within a second; no device writes this */
};

struct net_coalesce { /* 5.1.6.5.9 */
	uint32_t max_packets;
	uint32_t max_usecs;
};

struct net_coalesce_queue {
	uint16_t queue;
	uint16_t reserved;
	struct net_coalesce coalesce;
};

enum {
	NET_RSS_KEY_MAX = 40,	 /* of what this driver sends */
	NET_RSS_TABLE_MAX = 128, /* entries */
};

/* 5.1.6.5.7.1: the fields whose length depends on others are at their place in data. */
struct net_rss {
	uint32_t hash_types;
	uint16_t table[NET_RSS_TABLE_MAX]; /* receive queues, from 0 */
	uint16_t table_size;		   /* a power of two; 0: HASH_CONFIG, which has none */
	uint16_t unclassified_queue;
	uint16_t max_tx_queue;
	uint8_t key_size;
	uint8_t key[NET_RSS_KEY_MAX];
};

/* The index of the control queue, where @max_pairs is what the configuration says (5.1.2). */
uint16_t net_control_queue(const struct virtio_device *device, uint16_t max_pairs);

/*
 * Send one command with @len bytes of data and wait for its answer; into @result go @result_len
 * bytes (NULL, 0: the command has no result).
 */
uint8_t net_control_get(struct virtqueue *control, enum net_control_class class,
			enum net_control_command command, const void *data, size_t len,
			void *result, size_t result_len);

static inline uint8_t net_control(struct virtqueue *control, enum net_control_class class,
				  enum net_control_command command, const void *data, size_t len)
{
	return net_control_get(control, class, command, data, len, NULL, 0);
}

/* NET_CTRL_RX: modes that are on or off. */
uint8_t net_control_rx(struct virtqueue *control, enum net_control_command command, bool on);

/* The two tables: first what isn't multicast, then what is. */
uint8_t net_control_mac_table(struct virtqueue *control, const uint8_t (*unicast)[6],
			      uint32_t n_unicast, const uint8_t (*multicast)[6],
			      uint32_t n_multicast);

/* NET_CTRL_MQ_RSS_CONFIG or NET_CTRL_MQ_HASH_CONFIG. */
uint8_t net_control_rss(struct virtqueue *control, enum net_control_command command,
			const struct net_rss *rss);

#endif
