/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive-side scaling and hash reports (virtio 1.3, 5.1.6.4.3, 5.1.6.5.7): the Toeplitz hash of a
 * packet, and which receive queue it goes to.
 */
#ifndef VIRTIO_NET_RSS_H
#define VIRTIO_NET_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NET_RSS_KEY_SIZE = 40,	 /* bytes: rss_max_key_size */
	NET_RSS_TABLE_MAX = 128, /* entries: rss_max_indirection_table_length */
	NET_RSS_HEADER = 256,	 /* bytes of a frame from its start that decide */
	/* VIRTIO_NET_RSS_HASH_TYPE_*: all of IPv4, TCPv4, UDPv4, IPv6, TCPv6, UDPv6, *_EX */
	NET_RSS_HASH_TYPES = 0x1ff,
};

struct net_rss {
	uint32_t hash_types;   /* VIRTIO_NET_RSS_HASH_TYPE_* that are on */
	uint16_t table_size;   /* a power of two; 0: hashes are only reported, nothing steered */
	uint16_t unclassified; /* the receive queue pair, from 0, of what has no hash */
	uint16_t table[NET_RSS_TABLE_MAX]; /* receive queue pairs, from 0; checked */
	uint8_t key[NET_RSS_KEY_SIZE];
};

/*
 * The hash of the frame of which @len bytes (NET_RSS_HEADER are enough) are here, and in *@report
 * its VIRTIO_NET_HASH_REPORT_* (NONE: the hash is 0).
 */
uint32_t net_rss_hash(const struct net_rss *rss, const uint8_t *frame, size_t len,
		      uint16_t *report);

/*
 * Whether that frame, of which @len bytes are here and which has @frame_len, is a TCP segment
 * without data: an acknowledgement.
 */
bool net_rss_is_bare_segment(const uint8_t *frame, size_t len, size_t frame_len);

/* The receive queue pair of a packet with that hash. */
static inline unsigned int net_rss_queue(const struct net_rss *rss, uint32_t hash, uint16_t report)
{
	if (!report)
		return rss->unclassified;
	return rss->table[hash & (rss->table_size - 1u)];
}

#endif
