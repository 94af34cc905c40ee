/* SPDX-License-Identifier: Apache-2.0 */
/* A network device (virtio 1.3, 5.1): one queue pair. */
#ifndef GUEST_LIB_VIRTIO_NET_H
#define GUEST_LIB_VIRTIO_NET_H

#include "lib/virtio.h"
#include "lib/virtqueue.h"

enum virtio_net_feature_bit { /* 5.1.3 */
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_GUEST_ECN = 9,
	VIRTIO_NET_F_GUEST_UFO = 10,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_HOST_ECN = 13,
	VIRTIO_NET_F_HOST_UFO = 14,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_CTRL_RX = 18,
	VIRTIO_NET_F_CTRL_VLAN = 19,
	VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
	VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
	VIRTIO_NET_F_MQ = 22,
	VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
	VIRTIO_NET_F_HASH_TUNNEL = 51,
	VIRTIO_NET_F_VQ_NOTF_COAL = 52,
	VIRTIO_NET_F_NOTF_COAL = 53,
	VIRTIO_NET_F_GUEST_USO4 = 54,
	VIRTIO_NET_F_GUEST_USO6 = 55,
	VIRTIO_NET_F_HOST_USO = 56,
	VIRTIO_NET_F_HASH_REPORT = 57,
	VIRTIO_NET_F_GUEST_HDRLEN = 59,
	VIRTIO_NET_F_RSS = 60,
	VIRTIO_NET_F_RSC_EXT = 61,
	VIRTIO_NET_F_STANDBY = 62,
	VIRTIO_NET_F_SPEED_DUPLEX = 63,
};

enum { /* 5.1.4: offsets */
	VIRTIO_NET_CONFIG_MAC = 0,
	VIRTIO_NET_CONFIG_STATUS = 6,
	VIRTIO_NET_CONFIG_MAX_PAIRS = 8,
	VIRTIO_NET_CONFIG_MTU = 10,
	VIRTIO_NET_CONFIG_SPEED = 12,
	VIRTIO_NET_CONFIG_DUPLEX = 16,
	VIRTIO_NET_CONFIG_RSS_MAX_KEY_SIZE = 17,
	VIRTIO_NET_CONFIG_RSS_MAX_TABLE = 18,
	VIRTIO_NET_CONFIG_HASH_TYPES = 20,
	VIRTIO_NET_LINK_UP = 1,
	VIRTIO_NET_ANNOUNCE = 2,
};

struct net_header { /* 5.1.6 */
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
	uint32_t hash_value; /* with HASH_REPORT, as what follows */
	uint16_t hash_report;
	uint16_t reserved;
};

enum {
	NET_HEADER_SIZE = 12, /* without HASH_REPORT */
};

_Static_assert(offsetof(struct net_header, hash_value) == NET_HEADER_SIZE, "virtio 1.3, 5.1.6");
_Static_assert(sizeof(struct net_header) == 20, "virtio 1.3, 5.1.6");

enum {
	NET_NEEDS_CSUM = 1, /* flags */
	NET_DATA_VALID = 2,
	NET_RSC_INFO = 4,
	NET_GSO_NONE = 0, /* gso_type */
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,
	NET_GSO_ECN = 0x80,
};

enum {
	NET_PARTS_MAX = 38,
	NET_PACKET_MAX = 65550, /* 5.1.6.3.1: without the header */
};

/*
 * A packet in pieces. One to be sent belongs to the device from net_send() until net_sent() gives
 * it back; one that was received belongs to the guest until net_release().
 */
struct net_packet {
	struct net_header header;
	uint32_t len; /* received: without the header */
	unsigned int n_parts;
	struct segment parts[NET_PARTS_MAX]; /* without the header */
	void *buffers[NET_PARTS_MAX];	     /* received: for net_release() */
};

enum {
	NET_PAIRS_MAX = 8, /* of what this driver uses */
};

struct net {
	struct virtio_device device;
	struct virtqueue receive;
	struct virtqueue transmit;
	unsigned int n_pairs;
	struct net_pair { /* those after the first */
		struct virtqueue receive;
		struct virtqueue transmit;
	} more[NET_PAIRS_MAX - 1];
	struct virtqueue control;		   /* if there are several pairs */
	uint32_t interrupts_taken;		   /* irq_count() when the causes were taken last */
	unsigned int causes_taken, causes_missing; /* of interrupts: net_wait() */
	uint8_t mac[6];
	uint32_t header_size; /* 12 or 20 */
	uint32_t buffer_size; /* of receive buffers, with the header */
};

/*
 * Find the first network device, negotiate what the command line asks for, fill the receive
 * queue, go. Parameters, all on or off: mrg, event_idx, indirect, packed, in_order,
 * notification_data, hash (HASH_REPORT), csum, tso (host and guest, wants csum). rxbuf: size of a
 * receive buffer. pairs: of queues, to have and to switch on. num_buffers=any: it may be 0 where
 * buffers can't be merged, as QEMU leaves it. Ends the guest if something asked for isn't offered.
 * Those of virtio_find() and virtio_connect() as well.
 */
void net_init(struct net *net);

/* The same for the @index-th network device. */
void net_init_index(struct net *net, unsigned int index);

/* The queues of pair @pair. */
static inline struct virtqueue *net_receive_queue(struct net *net, unsigned int pair)
{
	return pair == 0 ? &net->receive : &net->more[pair - 1].receive;
}

static inline struct virtqueue *net_transmit(struct net *net, unsigned int pair)
{
	return pair == 0 ? &net->transmit : &net->more[pair - 1].transmit;
}

/* What a header takes with the features that were negotiated: 12 or 20 bytes. */
uint32_t net_header_size(const struct virtio_device *device);

/* Queue @packet; net_flush() shows it to the device. False if the queue is full. */
bool net_send(struct net *net, struct net_packet *packet);
void net_flush(struct net *net);

/* A packet that has been sent, or NULL. */
struct net_packet *net_sent(struct net *net);

/*
 * The next received packet. What 5.1.6.4 says of its header and buffers is verified; where it
 * isn't so, the guest ends. False if there is none.
 */
bool net_receive(struct net *net, struct net_packet *packet);
void net_release(struct net *net, const struct net_packet *packet);

/* Wait by interrupt until something was received or sent. False when nothing has come in time. */
bool net_wait(struct net *net, unsigned int milliseconds);

#endif
