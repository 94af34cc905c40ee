/* SPDX-License-Identifier: Apache-2.0 */
/* The network device from inside: what net.c and net_ctrl.c share. */
#ifndef VIRTIO_NET_DEVICE_H
#define VIRTIO_NET_DEVICE_H

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/datapath.h"
#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "virtio/ring.h"
#include "vmm/core/loop.h"

/* When to interrupt for a ring (5.1.6.5.9); zeroes: at once. */
struct net_coalescing {
	uint32_t max_packets;
	uint32_t max_usecs;
};

/* What the driver has set by the control queue. Reset takes it back. */
struct net_ctrl_state {
	struct net_filter filter;
	unsigned int pairs;		    /* of queues, the first ones, that receive */
	struct net_rss rss;		    /* no table, no hash types: off */
	uint64_t offloads;		    /* VIRTIO_NET_F_GUEST_* that are on */
	struct net_coalescing direction[2]; /* of all receive, all transmit queues */
	struct net_coalescing queue[2 * VIRTIO_NET_PAIRS_MAX];
};

/* All but the configuration space is under the device's lock. */
struct net {
	struct virtio_device dev;
	struct datapath *datapath; /* owned */
	uint64_t wanted;	   /* features to offer, as far as the datapath has them */
	char id[VIRTIO_NET_ID_SIZE];
	unsigned int max_pairs; /* of queues, if MQ or RSS is negotiated */
	uint16_t queue_size;
	uint8_t mac[6];	  /* before the driver sets another */
	bool link_up;	  /* as virtio_net_set_link() has it */
	bool carrier;	  /* as virtio_net_set_carrier() has it */
	bool failed;	  /* the datapath can't move packets for this driver: as if it were down */
	bool failed_told; /* the log has it */

	/*
	 * Little-endian, as the driver reads it. A reader holds the lock for one access, a writer
	 * for a change and its new generation: so the generation tells of every change (2.5.2).
	 */
	pthread_mutex_t config_lock;
	struct virtio_net_config config;

	/* The control queue. */
	const struct guest_memory *mem;
	struct loop *loop;
	struct loop_watch control_watch; /* of an epoll set, owned, with the kicks of a queue that
					    runs: which one it is, and when, the driver decides */
	struct virtio_queue *control;	 /* the queue while it runs, else NULL */
	struct ring control_ring;
	struct net_ctrl_state ctrl;
	void (*filter_changed)(void *opaque); /* see virtio_net_options; or NULL */
	void *opaque;
};

static inline bool net_accepted(const struct net *net, unsigned int feature)
{
	return net->dev.accepted >> feature & 1;
}

/* How many pairs of queues the driver can have: its control queue comes after them (5.1.2). */
static inline unsigned int net_pairs(const struct net *net)
{
	return net_accepted(net, VIRTIO_NET_F_MQ) || net_accepted(net, VIRTIO_NET_F_RSS)
		       ? net->max_pairs
		       : 1;
}

/* Under the device's lock. The driver is not told: it knows. */
void net_set_mac(struct net *net, const uint8_t mac[6]);
void net_clear_announce(struct net *net);

/* --- net_ctrl.c --- */

enum {
	/* The longest command, in bytes: room for 10000 MAC addresses. Longer ones are refused. */
	NET_CTRL_COMMAND_MAX = 65536,
	NET_CTRL_REPLY_MAX = sizeof(struct net_coalescing) + 1,
};

/* What the driver gets back: data, if the command has any, and the ack (VIRTIO_NET_OK or ERR). */
struct net_ctrl_reply {
	size_t len;
	uint8_t bytes[NET_CTRL_REPLY_MAX];
};

/*
 * Carry out the command of @len bytes at @data (5.1.6.5: class, command, command-specific-data). If
 * the ack is VIRTIO_NET_ERR nothing has changed.
 */
void net_ctrl_execute(struct net *net, const uint8_t *data, size_t len,
		      struct net_ctrl_reply *reply);

/* A driver with the features dev->accepted has not commanded anything yet. */
void net_ctrl_reset(struct net *net);

/*
 * Let the datapath, which has just got its features, do as the driver has commanded. 0 or a
 * negative errno.
 */
int net_ctrl_apply(struct net *net);

/* A queue of packets was enabled, and begins anew: it interrupts as its direction does. */
void net_ctrl_queue_enabled(struct net *net, unsigned int index);

#endif
