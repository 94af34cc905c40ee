/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datapath serves rings: in this process, in the kernel (vhost-net), in another process
 * (vhost-user). All kinds look the same to the device, so that the rings of a running guest can
 * move from one to another: stop on one, start on the other.
 *
 * Every function is called by the device under its own lock, one at a time.
 */
#ifndef VIRTIO_DATAPATH_H
#define VIRTIO_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/ring.h"

struct datapath;
struct net_filter;
struct net_rss;
struct queue_stats;

/* How a ring and the guest wake each other. The descriptors are borrowed while the ring runs. */
struct datapath_wires {
	int kick_fd; /* eventfd: the driver has made chains available */
	int call_fd; /* eventfd: interrupts the driver */
	/* Set VIRTIO_MMIO_INT_VRING here before call_fd is signalled. NULL: nobody looks. */
	_Atomic uint32_t *interrupt_status;
};

/* What a datapath tells the device that it serves. Called from its own threads; returns at once. */
struct datapath_events {
	/*
	 * The driver broke the rules of ring @index (@why: static): it is not served any more. Not
	 * after stop_ring() of it has returned: it would be the next driver's.
	 */
	void (*ring_broken)(void *opaque, unsigned int index, const char *why);
	/*
	 * Ring @index moves its first packet since the datapath was created: it is about to be
	 * sent, or to be seen by the driver. Not from a datapath that doesn't see packets. NULL:
	 * nobody asks.
	 */
	void (*first_packet)(void *opaque, unsigned int index);
	void *opaque;
};

/* What it tells who created it, serving or not. By the thread that runs the loop, without locks. */
struct datapath_owner {
	/*
	 * Who serves the rings is away, or is back. While it is away rings start and stop as ever;
	 * the chains in them wait.
	 */
	void (*carrier_changed)(void *opaque, bool up);
	void *opaque;
};

struct datapath_ops {
	/*
	 * The feature bits that this datapath can serve: what takes part in the format of rings and
	 * packets, and offloads.
	 */
	uint64_t (*features)(const struct datapath *dp);

	/* How many pairs of rings it can serve at the same time. NULL: one. */
	unsigned int (*max_queue_pairs)(const struct datapath *dp);

	/*
	 * What the driver accepted; while no ring runs. There may be more than features() has: of
	 * net_features_own, which are none of its business, and net_features_optional, which it
	 * leaves unused. 0, or a negative errno if no packet can be moved like that: rings can be
	 * started then, but only with the link down.
	 */
	int (*set_features)(struct datapath *dp, uint64_t features);

	/*
	 * Serve ring @index (virtio-net: 2n receives, 2n+1 transmits) from @state on, which is
	 * copied. It must look for available chains at once, kick or no kick. 0 or a negative
	 * errno; a ring that breaks the rules is no error here, but an event.
	 */
	int (*start_ring)(struct datapath *dp, unsigned int index, const struct ring_state *state,
			  const struct datapath_wires *wires);

	/*
	 * Serve ring @index no more: when this returns nothing touches the ring, all that was
	 * finished is published, and *@state says where to go on. For a ring that was started.
	 */
	void (*stop_ring)(struct datapath *dp, unsigned int index, struct ring_state *state);

	/*
	 * The link, and what the driver commands by the control queue (5.1.6.5), between
	 * set_features() and the next one, which takes it all back. NULL where the datapath can't:
	 * then features() has none of what would need it. Structs are copied. When these return no
	 * packet is handled in the old way any more. 0 or a negative errno, and then nothing has
	 * changed.
	 */

	/*
	 * Whether the link is up, as it is without this. While it is down no packet passes: what
	 * the driver transmits is lost, or waits in the ring where the datapath can't take it.
	 */
	int (*set_link)(struct datapath *dp, bool up);

	/*
	 * Which packets to receive; without it all. NULL: all are received, whatever features say:
	 * filters are best effort (5.1.6.5.1).
	 */
	int (*set_filter)(struct datapath *dp, const struct net_filter *filter);

	/*
	 * The driver uses @n pairs of rings: receive on the first @n alone. Always called before
	 * the first ring starts, if there are more pairs than one.
	 */
	int (*set_queue_pairs)(struct datapath *dp, unsigned int n);

	/* Choose receive rings by hash, and report hashes if that was negotiated; NULL: neither. */
	int (*set_rss)(struct datapath *dp, const struct net_rss *rss);

	/* The offloads towards the driver (VIRTIO_NET_F_GUEST_*) that are on, of those accepted. */
	int (*set_offloads)(struct datapath *dp, uint64_t features);

	/* Interrupt for ring @index after so many packets, or so long after the first of them. */
	int (*set_coalescing)(struct datapath *dp, unsigned int index, uint32_t max_packets,
			      uint32_t max_usecs);

	/*
	 * Tell the network, in the driver's place, where packets for @mac go from now on: a RARP
	 * request from that address. 0, or -EOPNOTSUPP. NULL: it can't.
	 */
	int (*announce)(struct datapath *dp, const uint8_t mac[6]);

	/*
	 * False if a packet waits inside, between network and ring: it is lost if another datapath
	 * goes on with the rings now. While rings run. NULL: there never is one.
	 */
	bool (*empty)(struct datapath *dp);

	/*
	 * What was counted of ring @index (below twice max_queue_pairs()), up to now; it is the
	 * datapath's. NULL: it can't know.
	 */
	const struct queue_stats *(*stats)(struct datapath *dp, unsigned int index);

	/* Whether who serves the rings is there, see carrier_changed(). NULL: always. */
	bool (*carrier)(struct datapath *dp);

	/* All rings are stopped. By the thread that runs the loop, or before it runs. */
	void (*destroy)(struct datapath *dp);
};

/* The common head of every datapath. */
struct datapath {
	const struct datapath_ops *ops;
	const char *kind; /* for messages: "in-process", "vhost-net", "vhost-user" */
	/* Set by the device, under its lock, when it takes the datapath. */
	struct datapath_events events;
	/* Set by who created it, before the loop runs or by the thread that runs it. May be zero.
	 */
	struct datapath_owner owner;
};

#endif
