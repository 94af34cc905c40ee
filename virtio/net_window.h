/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive window: buffers that were taken from a receive ring and wait for a packet, oldest
 * first. A packet is read straight into them; whatever doesn't fit lands in the overflow, and is
 * kept there if more buffers may come.
 *
 * A window belongs to whoever may touch its ring.
 */
#ifndef VIRTIO_NET_WINDOW_H
#define VIRTIO_NET_WINDOW_H

#include <limits.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/ring.h"

enum {
	/* The largest packet (5.1.6.3): Ethernet with a VLAN tag, IPv6, 64 KiB. */
	NET_PACKET_MAX = sizeof(struct virtio_net_hdr_v1_hash) + 18 + 40 + 65535,
};
_Static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "5.1.6: with num_buffers");
_Static_assert(sizeof(struct virtio_net_hdr_v1_hash) == 20, "5.1.6: with the hash");

/* How packets are given to the driver. */
struct net_window_format {
	size_t header_size; /* bytes, in front of each packet */
	bool merge;	    /* VIRTIO_NET_F_MRG_RXBUF: one packet may have several buffers */
	bool csum;	    /* VIRTIO_NET_F_GUEST_CSUM is on: flags may be set */
};

struct net_window {
	const struct net_window_format *format; /* borrowed */
	struct ring_chain *chains;
	struct iovec *iovs; /* of these chains, in order; one spare for the overflow */
	unsigned int max_chains, max_iovs;
	unsigned int first_chain, n_chains;
	unsigned int first_iov, n_iovs;
	size_t expected;	  /* bytes of a packet that one read offers pieces for, about */
	size_t offered;		  /* bytes that it does offer, before the overflow */
	unsigned int overflow_at; /* the overflow's index among its pieces */
	struct iovec displaced;	  /* by the overflow; if there is a piece there */
	size_t capacity;	  /* bytes in the chains */
	size_t pending;		  /* length of a packet in the overflow that needs buffers; or 0 */
	bool full; /* no further chain can be taken, though they hold no largest packet */
	uint8_t overflow[NET_PACKET_MAX]; /* hardly ever touched: then its pages don't exist */
};

/* For a ring of @ring_size descriptors. NULL if there is no memory. */
struct net_window *net_window_create(unsigned int ring_size,
				     const struct net_window_format *format);

/* Accepts NULL. */
void net_window_destroy(struct net_window *window);

/*
 * Take chains from @ring until they hold the largest packet, or there are no more. 0, or -EPROTO
 * if the ring is broken.
 */
int net_window_fill(struct net_window *window, struct ring *ring);

/*
 * Where to read a packet to, at most IOV_MAX pieces that end in the overflow. They are good until
 * the next call of another function. net_window_end() says how many bytes of it are in buffers,
 * and the first 1 KiB of the packet may be had from the pieces still.
 */
struct iovec *net_window_begin(struct net_window *window, unsigned int *n);
size_t net_window_end(struct net_window *window, size_t len);

/*
 * A packet of @len bytes was read, of which @direct are in buffers. Return it to the driver, or
 * keep it until there are more buffers, or lose it if those can't come.
 */
void net_window_place(struct net_window *window, struct ring *ring, size_t len, size_t direct);

/* Return the packet that is pending to the driver, if there are buffers for it by now. */
void net_window_place_pending(struct net_window *window, struct ring *ring);

/* Return a packet from elsewhere to the driver. False if there are no buffers for it. */
bool net_window_put(struct net_window *window, struct ring *ring, const uint8_t *packet,
		    size_t len);

/* Give back to @ring the chains that no packet came for. */
void net_window_rewind(struct net_window *window, struct ring *ring);

#endif
