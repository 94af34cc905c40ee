/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a hostile driver against the network device (virtio 1.3, 5.1.6.5), with a
 * datapath that checks what it is told and now and then refuses it. The input: the features, then
 * commands with their lengths, and what becomes of the link meanwhile, moves to another datapath
 * and back among it. A command that was not acknowledged, and a move that failed, must not have
 * changed anything; after a move the other one has been told the same.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/net_device.h"
#include "virtio/net_features.h"
#include "vmm/core/error.h"

enum {
	PAIRS = VIRTIO_NET_PAIRS_MAX,
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
};

/* What the datapath was told. */
struct told {
	bool filtered;
	struct net_filter filter;
	unsigned int pairs;
	struct net_rss rss;
	uint64_t offloads;
	struct net_coalescing coal[2 * PAIRS];
};

struct fake {
	struct datapath datapath;
	uint64_t offers, features;
	struct told told;
	unsigned int refuse; /* the calls that fail, a bit each */
};

/* --- the datapath --- */

static uint64_t fake_features(const struct datapath *dp)
{
	return ((const struct fake *)dp)->offers;
}

static unsigned int fake_max_queue_pairs(const struct datapath *dp)
{
	(void)dp;
	return PAIRS;
}

static int fake_set_features(struct datapath *dp, uint64_t features)
{
	struct fake *fake = (struct fake *)dp;

	fake->features = features;
	fake->told = (struct told){.pairs = 1, .offloads = features};
	return 0;
}

static int fake_start_ring(struct datapath *dp, unsigned int index, const struct ring_state *state,
			   const struct datapath_wires *wires)
{
	(void)dp;
	(void)state;
	(void)wires;
	require(index < 2 * PAIRS);
	return 0;
}

static void fake_stop_ring(struct datapath *dp, unsigned int index, struct ring_state *state)
{
	(void)dp;
	(void)index;
	(void)state;
}

static bool refuses(struct fake *fake)
{
	bool refuse = fake->refuse & 1;

	fake->refuse >>= 1;
	return refuse;
}

static int fake_set_link(struct datapath *dp, bool up)
{
	(void)up;
	return refuses((struct fake *)dp) ? -EIO : 0;
}

static int fake_announce(struct datapath *dp, const uint8_t mac[6])
{
	require(mac != NULL);
	return refuses((struct fake *)dp) ? -EOPNOTSUPP : 0;
}

static int fake_set_filter(struct datapath *dp, const struct net_filter *filter)
{
	struct fake *fake = (struct fake *)dp;
	uint8_t frame[NET_FILTER_HEADER];

	require(filter->unicast.n <= NET_FILTER_MACS && filter->multicast.n <= NET_FILTER_MACS);
	memcpy(frame, filter->vlans, sizeof(frame));
	net_filter_accepts(filter, frame, sizeof(frame));
	if (refuses(fake))
		return -EIO;
	fake->told.filtered = true;
	fake->told.filter = *filter;
	return 0;
}

static int fake_set_queue_pairs(struct datapath *dp, unsigned int n)
{
	struct fake *fake = (struct fake *)dp;

	require(n >= 1 && n <= PAIRS);
	for (unsigned int i = 0; i < fake->told.rss.table_size; i++)
		require(fake->told.rss.table[i] < n);
	if (refuses(fake))
		return -EIO;
	fake->told.pairs = n;
	return 0;
}

static int fake_set_rss(struct datapath *dp, const struct net_rss *rss)
{
	static const struct net_rss off;
	struct fake *fake = (struct fake *)dp;

	if (!rss)
		rss = &off;
	require(rss->table_size <= NET_RSS_TABLE_MAX);
	require(!(rss->table_size & (rss->table_size - 1)));
	require(!(rss->hash_types & ~(uint32_t)NET_RSS_HASH_TYPES));
	for (unsigned int i = 0; i < rss->table_size; i++)
		require(rss->table[i] < fake->told.pairs);
	require(!rss->table_size || rss->unclassified < fake->told.pairs);
	if (refuses(fake))
		return -EIO;
	fake->told.rss = *rss;
	return 0;
}

static int fake_set_offloads(struct datapath *dp, uint64_t features)
{
	struct fake *fake = (struct fake *)dp;

	require(!(features & ~fake->features) && net_features_valid(features));
	if (refuses(fake))
		return -EIO;
	fake->told.offloads = features;
	return 0;
}

static int fake_set_coalescing(struct datapath *dp, unsigned int index, uint32_t max_packets,
			       uint32_t max_usecs)
{
	struct fake *fake = (struct fake *)dp;

	require(index < 2 * PAIRS);
	if (refuses(fake))
		return -EIO;
	fake->told.coal[index] = (struct net_coalescing){max_packets, max_usecs};
	return 0;
}

static void fake_destroy(struct datapath *dp)
{
	(void)dp;
}

static const struct datapath_ops fake_ops = {
	.features = fake_features,
	.max_queue_pairs = fake_max_queue_pairs,
	.set_features = fake_set_features,
	.start_ring = fake_start_ring,
	.stop_ring = fake_stop_ring,
	.set_link = fake_set_link,
	.set_filter = fake_set_filter,
	.set_queue_pairs = fake_set_queue_pairs,
	.set_rss = fake_set_rss,
	.set_offloads = fake_set_offloads,
	.set_coalescing = fake_set_coalescing,
	.announce = fake_announce,
	.destroy = fake_destroy,
};

/* --- the driver --- */

/* Undoing must work, or nothing could be the same: only one call at a time fails. */
static unsigned int take_refusal(struct input *in)
{
	uint32_t refuse = take(in, 1);

	return refuse & 0x80 ? 1u << refuse % 32 : 0;
}

/* What the driver has been acknowledged is what the datapath was told. */
static void check_told(const struct net *net, const struct fake *fake)
{
	require(net->ctrl.pairs == fake->told.pairs);
	require(memcmp(net->ctrl.queue, fake->told.coal, sizeof(fake->told.coal)) == 0);
	require(net->ctrl.offloads == (fake->told.offloads & net->ctrl.offloads));
}

static void command(struct net *net, struct fake *fake, struct input *in)
{
	size_t len = take(in, 2);
	unsigned int refuse = take_refusal(in);
	struct virtio_net_config config = net->config;
	struct net_ctrl_state state = net->ctrl;
	struct told told = fake->told;
	struct net_ctrl_reply reply;
	uint8_t *data;

	len = len < in->len ? len : in->len;
	fake->refuse = refuse;
	data = malloc(len + !len); /* ASan watches its end */
	require(data != NULL);
	memcpy(data, in->data, len);
	in->data += len;
	in->len -= len;
	net_ctrl_execute(net, data, len, &reply);
	free(data);
	fake->refuse = 0;

	require(reply.len == 1 || reply.len == NET_CTRL_REPLY_MAX);
	if (reply.bytes[reply.len - 1] == VIRTIO_NET_OK) {
		check_told(net, fake);
		require(memcmp(net->config.mac, net->ctrl.filter.mac, 6) == 0);
		return;
	}
	require(reply.bytes[reply.len - 1] == VIRTIO_NET_ERR);
	require(memcmp(&config, &net->config, sizeof(config)) == 0);
	require(memcmp(&state, &net->ctrl, sizeof(state)) == 0);
	require(memcmp(&told, &fake->told, sizeof(told)) == 0);
}

static void switch_to(struct virtio_device *dev, struct fake *fake, struct input *in)
{
	struct net *net = (struct net *)dev;
	struct datapath *before = net->datapath, *datapath = &fake->datapath;
	struct net_ctrl_state state = net->ctrl;
	struct error err = {0};

	if (&fake->datapath == before)
		return;
	fake->offers = take(in, 1) & 1 ? take64(in) : UINT64_MAX;
	fake->refuse = take_refusal(in);
	if (virtio_net_switch(dev, &datapath, &err)) {
		require(err.code < 0 && err.text[0] && datapath == &fake->datapath);
		require(net->datapath == before);
	} else {
		require(datapath == before && net->datapath == &fake->datapath);
	}
	fake->refuse = 0;
	require(memcmp(&state, &net->ctrl, sizeof(state)) == 0);
	if (atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		check_told(net, (const struct fake *)net->datapath);
}

static void something_else(struct virtio_device *dev, struct fake fakes[2], struct input *in,
			   uint8_t what)
{
	struct fake *fake = (struct fake *)virtio_net_datapath(dev);
	uint8_t config[64];

	switch (what & 7) {
	case 0:
		fake->refuse = take_refusal(in);
		virtio_net_set_link(dev, what & 8);
		break;
	case 1:
		virtio_net_set_carrier(dev, what & 8);
		break;
	case 2:
		fake->refuse = take_refusal(in);
		virtio_net_announce(dev);
		break;
	case 3:
		virtio_device_read_config(dev, take(in, 1) % 32, config, sizeof(config));
		break;
	default:
		switch_to(dev, &fakes[what & 1], in);
		break;
	}
	fake->refuse = 0;
}

static void negotiate(struct virtio_device *dev, uint64_t refused)
{
	uint64_t features = net_features_offer(dev->offered & ~refused) |
			    1ULL << VIRTIO_F_VERSION_1;

	virtio_device_set_status(dev, 0);
	virtio_device_accept_features(dev, 0, (uint32_t)features);
	virtio_device_accept_features(dev, 1, (uint32_t)(features >> 32));
	virtio_device_set_status(dev, RUNNING);
	require(atomic_load(&dev->status) == RUNNING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake fakes[2] = {{.datapath.ops = &fake_ops, .offers = UINT64_MAX},
				{.datapath.ops = &fake_ops}};
	struct virtio_net_options options = {.id = "net0", .mac = {2}};
	struct input in = {data, size};
	struct virtio_device *dev;

	require(loop_create(&options.loop, NULL) == 0);
	require(virtio_net_create(&options, &fakes[0].datapath, NULL, &dev, NULL) == 0);
	negotiate(dev, take64(&in));
	while (in.len) {
		uint8_t what = (uint8_t)take(&in, 1);

		if (what < 0xe0)
			command((struct net *)dev, (struct fake *)virtio_net_datapath(dev), &in);
		else if (what < 0xf0)
			something_else(dev, fakes, &in, what);
		else if (what < 0xf8)
			virtio_device_set_queue_ready(dev, (unsigned int)take(&in, 1) % (2 * PAIRS),
						      what & 1);
		else
			negotiate(dev, take64(&in));
	}
	virtio_device_destroy(dev);
	loop_destroy(options.loop);
	return 0;
}
