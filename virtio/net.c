/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/datapath.h"
#include "virtio/device.h"
#include "vmm/core/error.h"

enum {
	QUEUES = 2, /* receiveq1, transmitq1 (5.1.2) */
	QUEUE_SIZE = 256,
};

struct net {
	struct virtio_device dev;
	struct datapath *datapath; /* owned */
	char id[32];
	struct virtio_net_config config; /* little-endian, as the driver reads it */
};
_Static_assert(offsetof(struct virtio_net_config, status) == 6, "5.1.4");
_Static_assert(offsetof(struct virtio_net_config, mtu) == 10, "5.1.4");

#define FEATURE(name) (1ULL << (name))

/* Which feature is nothing without which others (5.1.3.1). One of @any must be there. */
static const struct {
	uint64_t feature;
	uint64_t any;
} dependencies[] = {
	{FEATURE(VIRTIO_NET_F_GUEST_TSO4), FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{FEATURE(VIRTIO_NET_F_GUEST_TSO6), FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{FEATURE(VIRTIO_NET_F_GUEST_ECN),
	 FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6)},
	{FEATURE(VIRTIO_NET_F_HOST_TSO4), FEATURE(VIRTIO_NET_F_CSUM)},
	{FEATURE(VIRTIO_NET_F_HOST_TSO6), FEATURE(VIRTIO_NET_F_CSUM)},
	{FEATURE(VIRTIO_NET_F_HOST_ECN),
	 FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6)},
};

static bool net_validate_features(const struct virtio_device *dev, uint64_t features)
{
	(void)dev;
	for (size_t i = 0; i < sizeof(dependencies) / sizeof(dependencies[0]); i++) {
		if (features & dependencies[i].feature && !(features & dependencies[i].any))
			return false;
	}
	return true;
}

static int net_start(struct virtio_device *dev)
{
	struct datapath *datapath = ((struct net *)dev)->datapath;

	return datapath->ops->set_features(datapath, dev->accepted);
}

static int net_start_queue(struct virtio_device *dev, unsigned int index)
{
	struct datapath *datapath = ((struct net *)dev)->datapath;
	const struct virtio_queue *queue = &dev->queues[index];
	const struct datapath_wires wires = {
		.kick_fd = queue->kick_fd,
		.call_fd = queue->call_fd,
		.interrupt_status = &dev->interrupt_status,
	};

	return datapath->ops->start_ring(datapath, index, &queue->ring, &wires);
}

static void net_stop_queue(struct virtio_device *dev, unsigned int index)
{
	struct datapath *datapath = ((struct net *)dev)->datapath;

	datapath->ops->stop_ring(datapath, index, &dev->queues[index].ring);
}

static void net_read_config(struct virtio_device *dev, size_t offset, void *data, size_t len)
{
	memcpy(data, (const char *)&((struct net *)dev)->config + offset, len);
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;

	net->datapath->ops->destroy(net->datapath);
	free(net);
}

static const struct virtio_device_ops net_ops = {
	.validate_features = net_validate_features,
	.start = net_start,
	.start_queue = net_start_queue,
	.stop_queue = net_stop_queue,
	.read_config = net_read_config,
	/* Up to the last field that a feature we offer brings. */
	.config_size = offsetof(struct virtio_net_config, mtu) + sizeof(uint16_t),
	.destroy = net_destroy,
};

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "%s ring: %s", index % 2 ? "transmit" : "receive", why);
	virtio_device_break(opaque, text);
}

int virtio_net_create(const struct virtio_net_options *options, struct datapath *datapath,
		      const struct logger *log, struct virtio_device **dev, struct error *err)
{
	struct net *net = calloc(1, sizeof(*net));
	int ret;

	if (!net) {
		datapath->ops->destroy(datapath);
		return error_set(err, -ENOMEM, "%s: out of memory", options->id);
	}
	net->datapath = datapath;
	datapath->events = (struct datapath_events){ring_broken, net};
	snprintf(net->id, sizeof(net->id), "%s", options->id);
	memcpy(net->config.mac, options->mac, sizeof(net->config.mac));
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->config.max_virtqueue_pairs = htole16(1);
	net->config.mtu = htole16(options->mtu);

	net->dev.ops = &net_ops;
	net->dev.id = VIRTIO_ID_NET;
	net->dev.name = net->id;
	net->dev.log = log;
	net->dev.offered = datapath->ops->features(datapath) | FEATURE(VIRTIO_F_VERSION_1) |
			   FEATURE(VIRTIO_F_RING_RESET) | FEATURE(VIRTIO_NET_F_MAC) |
			   FEATURE(VIRTIO_NET_F_STATUS);
	if (options->mtu)
		net->dev.offered |= FEATURE(VIRTIO_NET_F_MTU);
	net->dev.offered &= ~options->disabled;
	ret = virtio_device_init(&net->dev, QUEUES, QUEUE_SIZE);
	if (ret) {
		virtio_device_destroy(&net->dev);
		errno = -ret;
		return error_errno(err, "%s: creating its queues", options->id);
	}
	*dev = &net->dev;
	return 0;
}
