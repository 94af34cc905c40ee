/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "virtio/datapath_inprocess.h"
#include "virtio/defs.h"
#include "virtio/fd.h"
#include "virtio/net.h"
#include "virtio/ring.h"
#include "virtio/tap.h"
#include "vmm/core/error.h"
#include "vmm/xvmm.h"

enum {
	QUEUE_SIZE_MIN = 32,
};

/* A MAC address that is nobody's: locally administered, unicast. */
static void random_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, 0) != 6)
		memset(mac, 0x5a, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

/* What a device does not offer unless it is asked to. */
static uint64_t features_off(enum xvmm_transport transport)
{
	uint64_t features = 1ULL << VIRTIO_F_RING_PACKED;

	/* On virtio-mmio KVM has no doorbell for kicks that carry data. */
	if (transport == XVMM_TRANSPORT_MMIO)
		features |= 1ULL << VIRTIO_F_NOTIFICATION_DATA;
	return features;
}

const char *nic_id(const struct xvmm_net *config, unsigned int index, char text[NIC_ID_SIZE])
{
	snprintf(text, NIC_ID_SIZE, "net%u", index);
	return config->id ? config->id : text;
}

int nic_check(const struct xvmm_config *config, unsigned int index, struct error *err)
{
	const struct xvmm_net *net = &config->nets[index];
	unsigned int size = net->queue_size;
	char text[NIC_ID_SIZE], other[NIC_ID_SIZE];
	const char *id = nic_id(net, index, text);

	if (strlen(id) >= VIRTIO_NET_ID_SIZE)
		return error_usage(err, "the id '%s' has more than %d characters", id,
				   VIRTIO_NET_ID_SIZE - 1);
	for (unsigned int i = 0; i < index; i++) {
		if (strcmp(id, nic_id(&config->nets[i], i, other)) == 0)
			return error_usage(err, "two network devices have the id '%s'", id);
	}
	if (net->queues > VIRTIO_NET_PAIRS_MAX)
		return error_usage(err, "%s: %u pairs of queues: at most %u", id, net->queues,
				   VIRTIO_NET_PAIRS_MAX);
	/* Linux stops a queue that has no room for a packet in 19 pieces, and a small one for ever.
	 */
	if (size && (size < QUEUE_SIZE_MIN || size > RING_SIZE_MAX))
		return error_usage(err, "%s: queues of size %u: need %d to %d", id, size,
				   QUEUE_SIZE_MIN, RING_SIZE_MAX);
	if (size & (size - 1) && !(net->features_on >> VIRTIO_F_RING_PACKED & 1))
		return error_usage(err,
				   "%s: queues of size %u: without packed=on a power of two is "
				   "needed",
				   id, size);
	if (net->speed > INT32_MAX)
		return error_usage(err, "%s: a speed of %u Mbit/s: at most %d", id, net->speed,
				   INT32_MAX);
	return 0;
}

static int create_backend(const struct xvmm_net *config, unsigned int queue_pairs,
			  const struct logger *log, struct net_backend **backend, struct error *err)
{
	if (!config->has_fd)
		return tap_create(config->tap, queue_pairs, log, backend, err);
	if (queue_pairs > 1)
		return error_usage(err, "descriptor %d: it has one queue, not %u", config->fd,
				   queue_pairs);
	if (fd_is_socket(config->fd))
		return fd_backend_create(config->fd, backend, err);
	return tap_adopt(config->fd, backend, err);
}

int nic_create(const struct nic_parts *parts, const struct xvmm_net *config, unsigned int index,
	       enum xvmm_transport transport, struct virtio_device **dev, struct error *err)
{
	static const uint8_t no_mac[6];
	struct inprocess_config inprocess = {
		.queue_pairs = config->queues ? config->queues : 1,
		.mem = parts->mem,
		.mtu = config->mtu,
	};
	struct virtio_net_options options = {
		.mem = parts->mem,
		.loop = parts->loop,
		.mtu = config->mtu,
		.queue_size = (uint16_t)config->queue_size,
		.speed = config->speed,
		.half_duplex = config->half_duplex,
		.disabled = config->features_off | (features_off(transport) & ~config->features_on),
		.required = config->features_on,
	};
	struct datapath *datapath;
	char id[NIC_ID_SIZE];
	int ret;

	options.id = nic_id(config, index, id);
	memcpy(options.mac, config->mac, sizeof(options.mac));
	if (memcmp(options.mac, no_mac, sizeof(no_mac)) == 0)
		random_mac(options.mac);
	ret = create_backend(config, inprocess.queue_pairs, parts->log, &inprocess.backend, err);
	if (ret)
		return ret;
	inprocess.name = id;
	datapath = inprocess_create(&inprocess);
	if (!datapath)
		return error_set(err, -ENOMEM, "%s: out of memory", options.id);
	return virtio_net_create(&options, datapath, parts->log, dev, err);
}
