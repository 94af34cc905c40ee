/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio network device (virtio 1.3, section 5.1): its features, its configuration space and
 * its control queue. The rings of packets are served by a datapath.
 *
 * The control queue is served by the thread that runs the loop; all else as in virtio/device.h.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/queue_stats.h"

struct datapath;
struct error;
struct guest_memory;
struct logger;
struct loop;
struct net_filter;
struct timeline;
struct virtio_device;

enum {
	VIRTIO_NET_PAIRS_MAX = 16, /* pairs of queues; of a datapath with more, no more are used */
	VIRTIO_NET_QUEUE_SIZE = 256, /* what is offered unless told otherwise */
	VIRTIO_NET_ID_SIZE = 32,     /* of an id, with its end */
};

struct virtio_net_options {
	const char *id;			/* for messages; copied */
	const struct guest_memory *mem; /* outlives the device */
	struct loop *loop;		/* outlives the device */
	struct timeline *timeline;	/* so does it; or NULL */
	uint8_t mac[6];
	uint16_t mtu;	     /* offered to the driver; 0: not offered */
	uint16_t queue_size; /* descriptors of a queue of packets, at most; 0: as above */
	uint32_t speed;	     /* told to the driver, in Mbit/s; 0: unknown */
	bool half_duplex;    /* told to the driver */
	uint64_t disabled;   /* features not to offer, nor what needs them */
	uint64_t required;   /* features that must be offered */
	bool switchable;     /* offer what every kind of datapath can serve, and no more */
	uint64_t available;  /* what another datapath, which it may move to at once, can serve; 0:
				all */
	/*
	 * The driver has set which packets it wants; or NULL. By the thread that runs the loop,
	 * with the device's lock held: it must not call the device.
	 */
	void (*filter_changed)(void *opaque);
	void *opaque;
};

/*
 * Create a network device with as many pairs of queues as @datapath (taken over, also on failure)
 * has. *@dev is the caller's, to give to a transport. @log outlives the device. A feature that is
 * required and can't be offered: -EOPNOTSUPP, or a usage error if no backend could help.
 */
int virtio_net_create(const struct virtio_net_options *options, struct datapath *datapath,
		      const struct logger *log, struct virtio_device **dev, struct error *err);

/*
 * Move the rings of the device, its driver running or not, from its datapath to *@datapath: they
 * stop on the one and go on on the other; the driver sees nothing of it. On success *@datapath is
 * the old one, the caller's to destroy or to keep; else *@err says why, nothing has changed, and
 * *@datapath is still the caller's. -EOPNOTSUPP: the other one can't serve a feature that the
 * driver uses; -EBUSY: a driver is just about to choose features: try again. By the thread that
 * runs the loop.
 */
int virtio_net_switch(struct virtio_device *dev, struct datapath **datapath, struct error *err);

/* The datapath that it has now. */
struct datapath *virtio_net_datapath(struct virtio_device *dev);

struct net_feature;

/*
 * Why the device doesn't offer @feature, in words: what was asked for, another feature that it
 * needs, or who can't serve it. NULL: it does. Valid as long as the device has its datapath.
 */
const char *virtio_net_why_not(struct virtio_device *dev, const struct net_feature *feature);

/*
 * Plug or unplug the cable: the driver is told by the link status (VIRTIO_NET_F_STATUS). While the
 * link is down no packet passes, whatever the driver does: what it transmits is lost. A device
 * begins with the link up; a reset changes nothing. If the backend fails when a driver starts the
 * link is down until the next reset, too. Any thread, which does not hold the device's lock.
 */
void virtio_net_set_link(struct virtio_device *dev, bool up);

/*
 * Whether who serves the datapath is there: else the driver sees that its link is down, but nothing
 * else changes; what it transmits waits. A device begins with a carrier. Any thread, as above.
 */
void virtio_net_set_carrier(struct virtio_device *dev, bool up);

/*
 * Ask the driver to announce itself to the network (5.1.6.5.4), or, if it can't, have the datapath
 * do that in its place. -EOPNOTSUPP if no driver runs, or neither can. Any thread, as above.
 */
int virtio_net_announce(struct virtio_device *dev);

/*
 * What passed through ring @index (2n receives, 2n+1 transmits), or didn't, since the device has
 * its datapath; *@progress_ms as in struct queue_stats. -ERANGE if there is no such ring;
 * -EOPNOTSUPP if the datapath can't know. Any thread, as above.
 */
int virtio_net_queue_stats(struct virtio_device *dev, unsigned int index,
			   uint64_t counters[QUEUE_COUNTERS], uint64_t *progress_ms);

/* Which packets the driver wants; of none that runs, what one begins with. Any thread, as above. */
void virtio_net_filter(struct virtio_device *dev, struct net_filter *filter);

#endif
