/* SPDX-License-Identifier: Apache-2.0 */
/* The network device over a datapath that writes down what it is told (virtio 1.3, 5.1). */
#include "virtio/net.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/driver.h"
#include "virtio/datapath.h"
#include "virtio/device.h"
#include "virtio/net_features.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"
#include "vmm/core/timeline.h"

#define BIT(name) (1ULL << (name))

enum {
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
	PAIRS = 4,
	MEMORY = 0x40000,
	CONTROL_RING = 0x1000,
	CONTROL_SIZE = 64,
	BUFFER = 0x10000, /* what the driver sends */
	REPLY = 0x8000,	  /* what it gets */
};

/* What the datapath was told last; a call that is to fail changes nothing. */
struct told {
	bool filtered, hashes, link_down;
	struct net_filter filter;
	unsigned int pairs;
	struct net_rss rss;
	uint64_t offloads;
	uint32_t packets[2 * PAIRS], usecs[2 * PAIRS];
};

struct fake {
	struct datapath datapath;
	uint64_t offers, got;
	int set_features_result;
	struct ring_state state[2 * PAIRS];
	struct datapath_wires wires[2 * PAIRS];
	bool running[2 * PAIRS];
	unsigned int starts;
	bool destroyed;
	struct told told;
	unsigned int calls;   /* of the six that tell something */
	unsigned int failing; /* this one of them fails, from 1 on */
};

static struct fake fake;
static struct virtio_device *dev;
static char message[256];
static struct virtio_net_options options;
static struct guest_memory mem;
static struct loop *loop;
static struct driver_ring control; /* the driver's side of the control queue */

static uint64_t fake_features(const struct datapath *dp)
{
	return ((const struct fake *)dp)->offers;
}

static bool fake_runs(const struct fake *f)
{
	for (unsigned int i = 0; i < 2 * PAIRS; i++) {
		if (f->running[i])
			return true;
	}
	return false;
}

static unsigned int fake_max_queue_pairs(const struct datapath *dp)
{
	(void)dp;
	return PAIRS;
}

static int fake_set_features(struct datapath *dp, uint64_t features)
{
	struct fake *f = (struct fake *)dp;

	ck_assert(!fake_runs(f));
	f->got = features;
	f->told = (struct told){.pairs = 1, .offloads = features};
	return f->set_features_result;
}

static bool fails(struct fake *f)
{
	ck_assert_uint_ne(f->got, 0);
	return ++f->calls == f->failing;
}

static int fake_set_link(struct datapath *dp, bool up)
{
	struct fake *f = (struct fake *)dp;

	if (fails(f))
		return -EIO;
	f->told.link_down = !up;
	return 0;
}

static int fake_set_filter(struct datapath *dp, const struct net_filter *filter)
{
	struct fake *f = (struct fake *)dp;

	if (fails(f))
		return -EIO;
	f->told.filtered = true;
	f->told.filter = *filter;
	return 0;
}

static int fake_set_queue_pairs(struct datapath *dp, unsigned int n)
{
	struct fake *f = (struct fake *)dp;

	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, PAIRS);
	/* No packet may go where no queue is served. */
	for (unsigned int i = 0; f->told.hashes && i < f->told.rss.table_size; i++)
		ck_assert_uint_lt(f->told.rss.table[i], n);
	if (fails(f))
		return -EIO;
	f->told.pairs = n;
	return 0;
}

static int fake_set_rss(struct datapath *dp, const struct net_rss *rss)
{
	struct fake *f = (struct fake *)dp;

	for (unsigned int i = 0; rss && i < rss->table_size; i++)
		ck_assert_uint_lt(rss->table[i], f->told.pairs);
	if (fails(f))
		return -EIO;
	f->told.hashes = rss != NULL;
	f->told.rss = rss ? *rss : (struct net_rss){0};
	return 0;
}

static int fake_set_offloads(struct datapath *dp, uint64_t features)
{
	struct fake *f = (struct fake *)dp;

	ck_assert_uint_eq(features & ~f->got, 0);
	if (fails(f))
		return -EIO;
	f->told.offloads = features;
	return 0;
}

static int fake_set_coalescing(struct datapath *dp, unsigned int index, uint32_t max_packets,
			       uint32_t max_usecs)
{
	struct fake *f = (struct fake *)dp;

	ck_assert_uint_lt(index, 2 * PAIRS);
	if (fails(f))
		return -EIO;
	f->told.packets[index] = max_packets;
	f->told.usecs[index] = max_usecs;
	return 0;
}

static int fake_start_ring(struct datapath *dp, unsigned int index, const struct ring_state *state,
			   const struct datapath_wires *wires)
{
	struct fake *f = (struct fake *)dp;

	ck_assert(!f->running[index]);
	f->running[index] = true;
	f->state[index] = *state;
	f->wires[index] = *wires;
	f->starts++;
	return 0;
}

static void fake_stop_ring(struct datapath *dp, unsigned int index, struct ring_state *state)
{
	struct fake *f = (struct fake *)dp;

	ck_assert(f->running[index]);
	f->running[index] = false;
	*state = f->state[index];
}

static void fake_destroy(struct datapath *dp)
{
	struct fake *f = (struct fake *)dp;

	ck_assert(!fake_runs(f));
	f->destroyed = true;
}

static const struct datapath_ops fake_ops = {
	.features = fake_features,
	.set_features = fake_set_features,
	.start_ring = fake_start_ring,
	.stop_ring = fake_stop_ring,
	.destroy = fake_destroy,
};

/* The same with all there is. */
static const struct datapath_ops full_ops = {
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
	.destroy = fake_destroy,
};

static void log_message(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	strncpy(message, text, sizeof(message) - 1);
}

static const struct logger logger = {log_message, NULL};

static const uint64_t everything = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
				   BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
				   BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) |
				   BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
				   BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_RING_F_EVENT_IDX) |
				   BIT(VIRTIO_RING_F_INDIRECT_DESC);

/* What the device offers whatever its datapath. */
static const uint64_t own = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_RESET) |
			    BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_NET_F_MAC) |
			    BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_SPEED_DUPLEX) |
			    BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
			    BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_RX) |
			    BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_VLAN);

/* What a full datapath adds. */
static const uint64_t controls = BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_MQ) |
				 BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_NET_F_HASH_REPORT) |
				 BIT(VIRTIO_NET_F_NOTF_COAL) | BIT(VIRTIO_NET_F_VQ_NOTF_COAL) |
				 BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6) |
				 BIT(VIRTIO_NET_F_HOST_USO);

static void setup(void)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config memory;

	fake = (struct fake){
		.datapath.ops = &fake_ops, .datapath.kind = "fake", .offers = everything};
	message[0] = '\0';
	ck_assert_int_eq(memory_create(&mem, &range, 1, &memory, NULL), 0);
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	options = (struct virtio_net_options){
		.id = "net0",
		.mem = &mem,
		.loop = loop,
		.mac = {2, 0, 0, 1, 2, 3},
	};
}

static void teardown(void)
{
	virtio_device_destroy(dev);
	ck_assert(fake.destroyed);
	loop_destroy(loop);
	memory_destroy(&mem);
}

static void create(void)
{
	ck_assert_int_eq(virtio_net_create(&options, &fake.datapath, &logger, &dev, NULL), 0);
}

static uint8_t negotiate(uint64_t features)
{
	virtio_device_set_status(dev, 0);
	virtio_device_accept_features(dev, 0, (uint32_t)features);
	virtio_device_accept_features(dev, 1, (uint32_t)(features >> 32));
	virtio_device_set_status(dev, RUNNING);
	return dev->status;
}

START_TEST(queues)
{
	create();
	ck_assert_uint_eq(dev->id, VIRTIO_ID_NET);
	ck_assert_str_eq(dev->name, "net0");
	ck_assert_uint_eq(dev->n_queues, 3);
	ck_assert_uint_eq(dev->queues[0].size_max, 256);
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
	ck_assert_uint_eq(dev->queues[2].size_max, 64);
}
END_TEST

START_TEST(offered)
{
	if (_i % 2)
		options.mtu = 9000;
	if (_i / 2)
		fake.offers = BIT(VIRTIO_NET_F_CSUM);
	create();
	ck_assert_uint_eq(dev->offered, own | fake.offers | (_i % 2 ? BIT(VIRTIO_NET_F_MTU) : 0));
}
END_TEST

START_TEST(config)
{
	/* mac, LINK_UP, max_virtqueue_pairs 1, mtu 9000, unknown speed, full; no more */
	static const uint8_t expected[32] = {2, 0,    0,    1,	  2,	3,    1,    0, 1,
					     0, 0x28, 0x23, 0xff, 0xff, 0xff, 0xff, 1};
	uint8_t data[32];

	options.mtu = 9000;
	create();
	memset(data, 0xff, sizeof(data));
	virtio_device_read_config(dev, 0, data, sizeof(data));
	ck_assert_mem_eq(data, expected, sizeof(data));
	/* By the widths that drivers use. */
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, mtu), data, 2);
	ck_assert_mem_eq(data, expected + 10, 2);
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, status), data, 2);
	ck_assert_mem_eq(data, expected + 6, 2);
}
END_TEST

/* 5.1.3.1 */
static const struct {
	uint64_t features;
	bool ok;
} sets[] = {
	{0, true},
	{everything, true},
	{BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF), true},
	{BIT(VIRTIO_NET_F_MTU), false}, /* not offered here */
	{BIT(VIRTIO_NET_F_CTRL_VQ), true},
	{BIT(VIRTIO_NET_F_CTRL_RX), false}, /* nor this */
	{BIT(VIRTIO_NET_F_CTRL_MAC_ADDR), false},
	{BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_VQ), true},
	{BIT(VIRTIO_NET_F_GUEST_ANNOUNCE), false},
	{BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_VQ), true},
	{BIT(VIRTIO_NET_F_GUEST_TSO4), false},
	{BIT(VIRTIO_NET_F_GUEST_TSO6), false},
	{BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_CSUM), false},
	{BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_CSUM), true},
	{BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_CSUM), true},
	{BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_CSUM), false},
	{BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_CSUM),
	 true},
	{BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_CSUM),
	 true},
	{BIT(VIRTIO_NET_F_HOST_TSO4), false},
	{BIT(VIRTIO_NET_F_HOST_TSO6), false},
	{BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_CSUM), true},
	{BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_CSUM), true},
	{BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_CSUM), false},
	{BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_CSUM), true},
	{BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_CSUM), true},
};

START_TEST(feature_sets)
{
	create();
	if (sets[_i].ok) {
		ck_assert_uint_eq(negotiate(sets[_i].features | BIT(VIRTIO_F_VERSION_1)), RUNNING);
		ck_assert_uint_eq(fake.got, sets[_i].features | BIT(VIRTIO_F_VERSION_1));
	} else {
		ck_assert_uint_eq(
			negotiate(sets[_i].features | BIT(VIRTIO_F_VERSION_1)),
			RUNNING & ~(VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK));
		ck_assert_uint_eq(fake.got, 0);
	}
}
END_TEST

/* Those that need others, with a datapath that has all of them. */
static const struct {
	unsigned int feature;
	uint64_t needs; /* 0: the driver may have it alone */
} full_sets[] = {
	{VIRTIO_NET_F_GUEST_USO4, BIT(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_USO6, BIT(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_HOST_USO, BIT(VIRTIO_NET_F_CSUM)},
	{VIRTIO_NET_F_CTRL_RX, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_VLAN, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_MQ, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_RSS, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_NOTF_COAL, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_VQ_NOTF_COAL, BIT(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_RX_EXTRA, 0},
	{VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, 0},
	{VIRTIO_NET_F_HASH_REPORT, 0},
};

static void create_full(void)
{
	fake.datapath.ops = &full_ops;
	fake.offers = everything | controls | BIT(VIRTIO_F_RING_PACKED);
	create();
}

START_TEST(full_feature_sets)
{
	uint64_t feature = BIT(full_sets[_i].feature) | BIT(VIRTIO_F_VERSION_1);

	create_full();
	ck_assert_uint_eq(!(negotiate(feature) & VIRTIO_CONFIG_S_FEATURES_OK),
			  full_sets[_i].needs != 0);
	ck_assert_uint_eq(negotiate(feature | full_sets[_i].needs), RUNNING);
}
END_TEST

START_TEST(backend_offers_less)
{
	fake.offers = BIT(VIRTIO_NET_F_CSUM);
	create();
	ck_assert(!(negotiate(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CSUM) |
			      BIT(VIRTIO_NET_F_HOST_TSO4)) &
		    VIRTIO_CONFIG_S_FEATURES_OK));
	ck_assert_uint_eq(negotiate(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CSUM)), RUNNING);
}
END_TEST

START_TEST(rings)
{
	create();
	negotiate(BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(fake.starts, 0);
	for (unsigned int i = 0; i < 2; i++) {
		dev->queues[i].ring = (struct ring_state){.size = (uint16_t)(8 + i), .desc = {i}};
		virtio_device_set_queue_ready(dev, i, true);
		ck_assert(fake.running[i]);
		ck_assert_uint_eq(fake.state[i].size, 8 + i);
		ck_assert_uint_eq(fake.state[i].desc.value, i);
		ck_assert_int_eq(fake.wires[i].kick_fd, dev->queues[i].kick_fd);
		ck_assert_int_eq(fake.wires[i].call_fd, dev->queues[i].call_fd);
		ck_assert_ptr_eq(fake.wires[i].interrupt_status, &dev->interrupt_status);
	}
	virtio_device_set_status(dev, 0);
	ck_assert(!fake.running[0] && !fake.running[1]);
}
END_TEST

START_TEST(ring_breaks)
{
	create();
	negotiate(BIT(VIRTIO_F_VERSION_1));
	fake.datapath.events.ring_broken(fake.datapath.events.opaque, (unsigned int)_i, "a loop");
	ck_assert(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(dev->interrupt_status, VIRTIO_MMIO_INT_CONFIG);
	ck_assert_ptr_nonnull(strstr(message, "net0: "));
	ck_assert_ptr_nonnull(
		strstr(message, _i ? "transmit ring: a loop" : "receive ring: a loop"));
}
END_TEST

START_TEST(what_happens_first_is_marked)
{
	static const enum timeline_event events[] = {TIMELINE_DRIVER, TIMELINE_DRIVER_OK,
						     TIMELINE_PACKET_OUT, TIMELINE_PACKET_IN};
	const struct datapath_events *told = &fake.datapath.events;
	struct timeline_mark mark;
	struct timeline timeline;

	timeline_init(&timeline, TIMELINE_CREATE, 0);
	options.timeline = &timeline;
	create();
	ck_assert_int_eq(timeline_get(&timeline, 1, &mark), -ERANGE);
	/* And not again, by another driver or on another datapath. */
	for (int i = 0; i < 2; i++) {
		negotiate(BIT(VIRTIO_F_VERSION_1));
		told->first_packet(told->opaque, 1);
		told->first_packet(told->opaque, 0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_int_eq(timeline_get(&timeline, i + 1, &mark), 0);
		ck_assert_int_eq(mark.event, events[i]);
		ck_assert_str_eq(mark.device, "net0");
	}
	ck_assert_int_eq(timeline_get(&timeline, 5, &mark), -ERANGE);
	timeline_destroy(&timeline);
}
END_TEST

START_TEST(backend_refuses_features)
{
	fake.set_features_result = -EINVAL;
	create();
	ck_assert_uint_eq(negotiate(BIT(VIRTIO_F_VERSION_1)),
			  RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
}
END_TEST

START_TEST(long_id)
{
	options.id = "a-name-that-is-longer-than-any-that-makes-sense";
	create();
	ck_assert_mem_eq(dev->name, options.id, 20);
}
END_TEST

/* --- which queues and features there are --- */

START_TEST(full_queues)
{
	create_full();
	ck_assert_uint_eq(dev->offered, own | fake.offers);
	ck_assert_uint_eq(dev->n_queues, 2 * PAIRS + 1);
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		ck_assert_uint_eq(dev->queues[i].size_max, 256);
	ck_assert_uint_eq(dev->queues[2 * PAIRS].size_max, CONTROL_SIZE);
	/* 5.1.2: the control queue's place, and whether it is there at all, the driver decides. */
	negotiate(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CTRL_VQ));
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
	ck_assert_uint_eq(dev->queues[2].size_max, CONTROL_SIZE);
	for (unsigned int i = 3; i <= 2 * PAIRS; i++)
		ck_assert_uint_eq(dev->queues[i].size_max, 0);
	negotiate(BIT(VIRTIO_F_VERSION_1));
	for (unsigned int i = 2; i <= 2 * PAIRS; i++)
		ck_assert_uint_eq(dev->queues[i].size_max, 0);
	virtio_device_set_queue_ready(dev, 2, true);
	ck_assert(!dev->queues[2].ready);
	negotiate(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_CTRL_VQ) |
		  BIT(_i ? VIRTIO_NET_F_RSS : VIRTIO_NET_F_MQ));
	ck_assert_uint_eq(dev->queues[2 * PAIRS - 1].size_max, 256);
	ck_assert_uint_eq(dev->queues[2 * PAIRS].size_max, CONTROL_SIZE);
	virtio_device_set_status(dev, 0);
	ck_assert_uint_eq(dev->queues[2].size_max, 256);
}
END_TEST

START_TEST(queue_size)
{
	options.queue_size = 300;
	create_full();
	/* 4.1.4.3.1: a power of two, as a split ring's (2.7), until packed ones are agreed on. */
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
	negotiate(BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
	negotiate(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED));
	ck_assert_uint_eq(dev->queues[1].size_max, 300);
	virtio_device_set_status(dev, 0);
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
}
END_TEST

START_TEST(queue_set_up_too_early)
{
	create_full();
	virtio_device_set_queue_ready(dev, (unsigned int)_i, true);
	dev->queues[_i].ring.size = 256;
	virtio_device_accept_features(dev, 0, 1u << VIRTIO_NET_F_CTRL_VQ);
	virtio_device_accept_features(dev, 1, 1);
	virtio_device_set_status(dev, RUNNING);
	/* It is the control queue now, which has no 256; and the next one isn't there. */
	ck_assert_uint_eq(dev->status, RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert(!dev->queues[_i].running);
	virtio_device_set_status(dev, 0);
	ck_assert_uint_eq(dev->status, 0);
}
END_TEST

START_TEST(disabled)
{
	options.disabled = BIT(VIRTIO_NET_F_CTRL_VQ);
	create_full();
	ck_assert_uint_eq(dev->offered & (controls | own),
			  BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_RESET) |
				  BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_NET_F_MAC) |
				  BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_SPEED_DUPLEX) |
				  BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6) |
				  BIT(VIRTIO_NET_F_HOST_USO));
	ck_assert_uint_eq(dev->n_queues, 2);
}
END_TEST

START_TEST(disabled_takes_along)
{
	options.disabled = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4);
	create_full();
	/* The chain of them: no GUEST_CSUM, no GUEST_TSO, no GUEST_ECN. */
	ck_assert_uint_eq((everything | controls) & ~dev->offered,
			  options.disabled | BIT(VIRTIO_NET_F_GUEST_TSO4) |
				  BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
				  BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6));
}
END_TEST

START_TEST(never_offered)
{
	fake.datapath.ops = &full_ops;
	fake.offers = UINT64_MAX;
	create();
	ck_assert_uint_eq(dev->offered & BIT(VIRTIO_NET_F_STANDBY), 0);
	ck_assert_uint_eq(dev->offered & BIT(50), 0); /* DEVICE_STATS */
	ck_assert_uint_eq(dev->offered & BIT(VIRTIO_F_ACCESS_PLATFORM), 0);
}
END_TEST

static const struct {
	uint64_t required, disabled;
	const char *text;
	int code;
} unmet[] = {
	{BIT(VIRTIO_NET_F_RSS), 0, "net0: rss=on: fake can't serve that here", -EOPNOTSUPP},
	{BIT(VIRTIO_NET_F_MQ), 0,
	 "net0: mq=on: fake can't serve that here (it takes queues=2 or more)", -EOPNOTSUPP},
	{BIT(VIRTIO_NET_F_HOST_TSO4), BIT(VIRTIO_NET_F_CSUM),
	 "net0: host_tso4=on: it needs csum, which is not offered", -EINVAL},
	{BIT(VIRTIO_NET_F_CSUM), BIT(VIRTIO_NET_F_CSUM), "net0: csum is both on and off", -EINVAL},
	{BIT(VIRTIO_NET_F_STANDBY), 0, "net0: unknown features 0x4000000000000000 are asked for",
	 -EINVAL},
};

START_TEST(required)
{
	struct error err = {0};

	options.required = unmet[_i].required;
	options.disabled = unmet[_i].disabled;
	ck_assert_int_eq(virtio_net_create(&options, &fake.datapath, &logger, &dev, &err),
			 unmet[_i].code);
	ck_assert_str_eq(err.text, unmet[_i].text);
	ck_assert(err.usage == (err.code == -EINVAL));
	ck_assert_ptr_null(dev);
}
END_TEST

START_TEST(full_config)
{
	/* mac, LINK_UP, 4 pairs, mtu 0, 25000 Mbit/s half duplex, key 40, table 128, hash types */
	static const uint8_t expected[24] = {2,	   0,	 0, 1, 2, 3,  1,   0, 4,    0, 0, 0,
					     0xa8, 0x61, 0, 0, 0, 40, 128, 0, 0xff, 1, 0, 0};
	uint8_t data[24];

	options.speed = 25000;
	options.half_duplex = true;
	create_full();
	virtio_device_read_config(dev, 0, data, sizeof(data));
	ck_assert_mem_eq(data, expected, sizeof(data));
}
END_TEST

/* --- the control queue --- */

/* The loop looks once at what is ready. */
static void turn(void)
{
	loop_stop(loop);
	loop_run(loop);
}

static unsigned int control_index(void)
{
	return dev->accepted & (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS)) ? 2 * PAIRS : 2;
}

static void enable_control(void)
{
	driver_ring_init(&control, &mem, gpa(CONTROL_RING), CONTROL_SIZE,
			 dev->accepted & BIT(VIRTIO_RING_F_EVENT_IDX), 0);
	dev->queues[control_index()].ring = driver_ring_state(&control);
	virtio_device_set_queue_ready(dev, control_index(), true);
	turn();
}

/* A driver with these features and, if they include it, a control queue. */
static void run(uint64_t features)
{
	create_full();
	ck_assert_uint_eq(negotiate(features | BIT(VIRTIO_F_VERSION_1)), RUNNING);
	enable_control();
}

/* Each command in three pieces at BUFFER; the reply at REPLY. */
static void put_command(uint16_t slot, uint8_t class, uint8_t command, const void *data, size_t len)
{
	const uint8_t header[] = {class, command};
	struct vring_desc *desc = &control.desc[3 * slot];

	ck_assert_int_eq(memory_write(&mem, gpa(BUFFER), header, 2), 0);
	ck_assert_int_eq(memory_write(&mem, gpa(BUFFER + 2), data, len), 0);
	driver_fill_desc(&desc[0], BUFFER, 2, VRING_DESC_F_NEXT, 3 * slot + 1u);
	driver_fill_desc(&desc[1], BUFFER + 2, (uint32_t)len, VRING_DESC_F_NEXT, 3 * slot + 2u);
	driver_fill_desc(&desc[2], REPLY, 16, VRING_DESC_F_WRITE, 0);
	driver_add(&control, 3 * slot);
}

static void kick(void)
{
	driver_expose(&control);
	fd_eventfd_signal(dev->queues[control_index()].kick_fd);
}

static uint8_t reply_byte(unsigned int at)
{
	uint8_t byte;

	ck_assert_int_eq(memory_read(&mem, gpa(REPLY + at), &byte, 1), 0);
	return byte;
}

/* Send a command whose reply has @n bytes, and return the last of them, the ack. */
static uint8_t send_for(uint32_t n, uint8_t class, uint8_t command, const void *data, size_t len)
{
	uint32_t id, used;

	memory_write(&mem, gpa(REPLY), (uint8_t[16]){0xee, 0xee, 0xee}, 16);
	put_command(0, class, command, data, len);
	kick();
	turn();
	ck_assert(driver_used(&control, &id, &used));
	ck_assert_uint_eq(id, 0);
	ck_assert_uint_eq(used, n);
	return reply_byte(n - 1);
}

static uint8_t send(uint8_t class, uint8_t command, const void *data, size_t len)
{
	return send_for(1, class, command, data, len);
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The commands, each with data that a device takes, and the feature that brings it. */
static const struct {
	uint8_t class, command;
	unsigned int feature;
	uint8_t data[16];
	size_t len;
	uint32_t reply;
} commands[] = {
	{0, 0, VIRTIO_NET_F_CTRL_RX, {1}, 1, 1},
	{0, 1, VIRTIO_NET_F_CTRL_RX, {1}, 1, 1},
	{0, 2, VIRTIO_NET_F_CTRL_RX_EXTRA, {1}, 1, 1},
	{0, 3, VIRTIO_NET_F_CTRL_RX_EXTRA, {1}, 1, 1},
	{0, 4, VIRTIO_NET_F_CTRL_RX_EXTRA, {1}, 1, 1},
	{0, 5, VIRTIO_NET_F_CTRL_RX_EXTRA, {1}, 1, 1},
	{1, 0, VIRTIO_NET_F_CTRL_RX, {0, 0, 0, 0, 0, 0, 0, 0}, 8, 1},
	{1, 1, VIRTIO_NET_F_CTRL_MAC_ADDR, {2, 2, 2, 2, 2, 2}, 6, 1},
	{2, 0, VIRTIO_NET_F_CTRL_VLAN, {5, 1}, 2, 1},
	{2, 1, VIRTIO_NET_F_CTRL_VLAN, {5, 1}, 2, 1},
	{3, 0, VIRTIO_NET_F_GUEST_ANNOUNCE, {0}, 0, 1},
	{4, 0, VIRTIO_NET_F_MQ, {2, 0}, 2, 1},
	{4, 1, VIRTIO_NET_F_RSS, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}, 13, 1},
	{4, 2, VIRTIO_NET_F_HASH_REPORT, {1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0x6d}, 14, 1},
	{5, 0, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, {0, 0, 0, 0, 0, 0, 0, 0}, 8, 1},
	{6, 0, VIRTIO_NET_F_NOTF_COAL, {1, 0, 0, 0, 1, 0, 0, 0}, 8, 1},
	{6, 1, VIRTIO_NET_F_NOTF_COAL, {1, 0, 0, 0, 1, 0, 0, 0}, 8, 1},
	{6, 2, VIRTIO_NET_F_VQ_NOTF_COAL, {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, 12, 1},
	{6, 3, VIRTIO_NET_F_VQ_NOTF_COAL, {0, 0, 0, 0}, 4, 9},
};
enum {
	N_COMMANDS = sizeof(commands) / sizeof(commands[0]),
};

static void enable_queue(unsigned int index)
{
	dev->queues[index].ring = (struct ring_state){.size = 8};
	virtio_device_set_queue_ready(dev, index, true);
}

static void count(void *opaque)
{
	++*(unsigned int *)opaque;
}

/* Every command: taken; refused if it is too short, too long, or was not negotiated. */
START_TEST(each_command)
{
	uint8_t class = commands[_i].class, command = commands[_i].command;
	size_t len = commands[_i].len;
	uint32_t reply = commands[_i].reply;
	uint8_t data[17];
	struct told before;
	unsigned int filters = 0;

	memcpy(data, commands[_i].data, 16);
	data[16] = 0;
	options.filter_changed = count;
	options.opaque = &filters;
	run(own | everything | controls);
	enable_queue(0);
	before = fake.told;
	for (size_t n = 0; n < 17; n++) {
		if (n != len)
			ck_assert_uint_eq(send_for(reply, class, command, data, n), VIRTIO_NET_ERR);
	}
	ck_assert_mem_eq(&fake.told, &before, sizeof(before));
	ck_assert_uint_eq(filters, 0);
	ck_assert_uint_eq(send_for(reply, class, command, data, len), VIRTIO_NET_OK);
	ck_assert_uint_eq(dev->status, RUNNING);
	/* Modes, addresses, VLANs. */
	ck_assert_uint_eq(filters, class <= 2);

	ck_assert_uint_eq(negotiate(((own | everything | controls) & dev->offered) &
				    ~BIT(commands[_i].feature)),
			  RUNNING);
	enable_control();
	enable_queue(0);
	before = fake.told;
	ck_assert_uint_eq(send_for(reply, class, command, data, len), VIRTIO_NET_ERR);
	ck_assert_mem_eq(&fake.told, &before, sizeof(before));
}
END_TEST

/* What the datapath doesn't take: ERR, and all is as before. */
START_TEST(each_command_fails)
{
	uint8_t class = commands[_i].class, command = commands[_i].command;
	struct told before;
	unsigned int calls;

	run(own | everything | controls);
	enable_queue(0);
	ck_assert_uint_eq(send(4, 0, BYTES(3, 0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(send(6, 2, BYTES(0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0)), VIRTIO_NET_OK);
	before = fake.told;
	calls = fake.calls;
	for (unsigned int i = 1;; i++) {
		uint32_t reply = commands[_i].reply;
		uint8_t ack;

		fake.calls = 0;
		fake.failing = i;
		ack = send_for(reply, class, command, commands[_i].data, commands[_i].len);
		if (fake.calls < i) {
			ck_assert_uint_eq(ack, VIRTIO_NET_OK);
			break;
		}
		ck_assert_uint_eq(ack, VIRTIO_NET_ERR);
		before.filtered = fake.told.filtered; /* that was only the first one */
		ck_assert_mem_eq(&fake.told, &before, sizeof(before));
		ck_assert_uint_lt(i, 20);
	}
	ck_assert_uint_gt(calls, 0);
}
END_TEST

START_TEST(unknown_commands)
{
	struct told before;

	run(own | everything | controls);
	before = fake.told;
	for (unsigned int class = 0; class < 256; class ++) {
		for (unsigned int command = 0; command < 8; command++) {
			bool known = false;

			for (unsigned int i = 0; i < N_COMMANDS; i++)
				known |= commands[i].class == class &&
					 commands[i].command == command;
			if (!known)
				ck_assert_uint_eq(send((uint8_t) class, (uint8_t)command, BYTES(1)),
						  VIRTIO_NET_ERR);
		}
	}
	ck_assert_mem_eq(&fake.told, &before, sizeof(before));
}
END_TEST

static bool accepts(const uint8_t *to, size_t len)
{
	return net_filter_accepts(&fake.told.filter, to, len);
}

static const uint8_t to_us[14] = {2, 0, 0, 1, 2, 3}, to_other[14] = {2, 0, 0, 9, 9, 9},
		     to_group[14] = {1, 0, 0x5e, 0, 0, 1},
		     to_all[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

START_TEST(receive_modes)
{
	run(own | everything | controls);
	/* Promiscuous until the driver says otherwise. */
	ck_assert(fake.told.filtered);
	ck_assert(accepts(to_other, 14) && accepts(to_group, 14));
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_other, 14) && !accepts(to_group, 14));
	ck_assert(accepts(to_us, 14) && accepts(to_all, 14));
	ck_assert_uint_eq(send(0, 1, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_other, 14) && accepts(to_group, 14));
	ck_assert_uint_eq(send(0, 2, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(accepts(to_other, 14));
	ck_assert_uint_eq(send(0, 3, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_group, 14) && accepts(to_all, 14));
	ck_assert_uint_eq(send(0, 4, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_us, 14));
	ck_assert_uint_eq(send(0, 5, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_all, 14));
	ck_assert_uint_eq(send(0, 5, BYTES(0)), VIRTIO_NET_OK);
	ck_assert(accepts(to_all, 14));
	ck_assert_uint_eq(send(0, 0, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(accepts(to_us, 14) && accepts(to_group, 14));
	/* A reset takes it all back. */
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	negotiate(own | everything | controls);
	ck_assert(accepts(to_other, 14));
	ck_assert(!fake.told.filter.nouni && !fake.told.filter.alluni);
}
END_TEST

/* Without CTRL_RX nothing is filtered, but what CTRL_RX_EXTRA suppresses. */
START_TEST(extra_modes_alone)
{
	run(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA));
	ck_assert(accepts(to_other, 14) && accepts(to_group, 14));
	ck_assert_uint_eq(send(0, 3, BYTES(1)), VIRTIO_NET_OK);
	ck_assert(accepts(to_other, 14) && !accepts(to_group, 14));
}
END_TEST

START_TEST(no_filter_wanted)
{
	run(BIT(VIRTIO_NET_F_CTRL_VQ));
	ck_assert(!fake.told.filtered);
}
END_TEST

START_TEST(mac_table)
{
	const struct net_filter *filter = &fake.told.filter;
	uint8_t many[4 + 65 * 6 + 4 + 6] = {65};

	run(own | everything | controls);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(send(1, 0,
			       BYTES(1, 0, 0, 0, 2, 0, 0, 9, 9, 9, /* unicast, then not */
				     2, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1, 1, 0, 0x5e, 0, 0, 2)),
			  VIRTIO_NET_OK);
	ck_assert_uint_eq(filter->unicast.n, 1);
	ck_assert_uint_eq(filter->multicast.n, 2);
	ck_assert(accepts(to_other, 14) && accepts(to_group, 14));
	/* Wrong counts: each too large for what is there, or too small. */
	ck_assert_uint_eq(send(1, 0, BYTES(2, 0, 0, 0, 2, 0, 0, 9, 9, 9, 0, 0, 0, 0)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(1, 0, BYTES(0xff, 0xff, 0xff, 0xff, 2, 0, 0, 9, 9, 9, 0, 0, 0, 0)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(1, 0, BYTES(0, 0, 0, 0, 2, 0, 0, 9, 9, 9, 0, 0, 0, 0)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(1, 0, BYTES(0, 0, 0, 0, 0xab, 0xaa, 0xaa, 0x2a)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(filter->unicast.n, 1);
	/* More than are kept: all of their kind pass. */
	many[4 + 65 * 6] = 1;
	ck_assert_uint_eq(send(1, 0, many, sizeof(many)), VIRTIO_NET_OK);
	ck_assert(filter->unicast.overflow && !filter->multicast.overflow);
	ck_assert_uint_eq(filter->multicast.n, 1);
	ck_assert(accepts(to_other, 14) && !accepts(to_group, 14));
	ck_assert_uint_eq(send(1, 0, BYTES(0, 0, 0, 0, 0, 0, 0, 0)), VIRTIO_NET_OK);
	ck_assert(!accepts(to_other, 14));
}
END_TEST

START_TEST(very_many_addresses)
{
	enum {
		LIMIT = 65536 - 2, /* of command-specific-data */
		ADDRESSES = (LIMIT - 8) / 6,
	};
	uint8_t *table = calloc(1, LIMIT + 1);
	uint32_t n = ADDRESSES;

	run(own | everything | controls);
	memcpy(table, &n, 4);
	ck_assert_uint_eq(send(1, 0, table, 8 + 6 * n), VIRTIO_NET_OK);
	ck_assert(fake.told.filter.unicast.overflow);
	/* One byte more than any command may have. */
	ck_assert_uint_eq(send(1, 0, table, LIMIT + 1), VIRTIO_NET_ERR);
	free(table);
}
END_TEST

START_TEST(mac_address)
{
	static const uint8_t mac[6] = {2, 7, 7, 7, 7, 7};
	uint32_t generation;
	uint8_t data[6];

	run(own | everything | controls);
	generation = dev->config_generation;
	ck_assert_uint_eq(send(1, 1, mac, 6), VIRTIO_NET_OK);
	virtio_device_read_config(dev, 0, data, 6);
	ck_assert_mem_eq(data, mac, 6);
	ck_assert_mem_eq(fake.told.filter.mac, mac, 6);
	ck_assert_uint_ne(dev->config_generation, generation);
	/* The driver knows what it did. */
	ck_assert_uint_eq(dev->interrupt_status & VIRTIO_MMIO_INT_CONFIG, 0);
	/* After a reset it is the device's own again. */
	generation = dev->config_generation;
	virtio_device_set_status(dev, 0);
	virtio_device_read_config(dev, 0, data, 6);
	ck_assert_mem_eq(data, options.mac, 6);
	ck_assert_uint_ne(dev->config_generation, generation);
	negotiate(own | everything | controls);
	ck_assert_mem_eq(fake.told.filter.mac, options.mac, 6);
}
END_TEST

START_TEST(vlans)
{
	uint8_t frame[18] = {2, 0, 0, 1, 2, 3, [12] = 0x81, 0, 0x0f, 0xff};

	run(own | everything | controls);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert(!accepts(frame, 18));
	ck_assert_uint_eq(send(2, 0, BYTES(0xff, 0x0f)), VIRTIO_NET_OK);
	ck_assert(accepts(frame, 18));
	ck_assert_uint_eq(send(2, 0, BYTES(0, 0x10)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(2, 1, BYTES(0xfe, 0x0f)), VIRTIO_NET_OK);
	ck_assert(accepts(frame, 18));
	ck_assert_uint_eq(send(2, 1, BYTES(0xff, 0x0f)), VIRTIO_NET_OK);
	ck_assert(!accepts(frame, 18));
}
END_TEST

START_TEST(queue_pairs)
{
	run(own | everything | controls);
	ck_assert_uint_eq(fake.told.pairs, 1);
	ck_assert_uint_eq(send(4, 0, BYTES(PAIRS, 0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, PAIRS);
	ck_assert_uint_eq(send(4, 0, BYTES(0, 0)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(4, 0, BYTES(PAIRS + 1, 0)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(4, 0, BYTES(1, 1)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(fake.told.pairs, PAIRS);
	ck_assert_uint_eq(send(4, 0, BYTES(2, 0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, 2);
	negotiate(own | everything | controls);
	ck_assert_uint_eq(fake.told.pairs, 1);
}
END_TEST

/* VIRTIO_NET_CTRL_MQ_RSS_CONFIG as Linux sends it. */
struct __attribute__((packed)) rss_command {
	uint32_t hash_types;
	uint16_t mask, unclassified;
	uint16_t table[4];
	uint16_t max_tx_vq;
	uint8_t key_len, key[40];
};

static const struct rss_command rss_command = {
	.hash_types = 0x1ff,
	.mask = 3,
	.unclassified = 1,
	.table = {0, 1, 2, 1},
	.max_tx_vq = 2,
	.key_len = 40,
	.key = {1, 2, [39] = 40},
};

static uint8_t send_rss(const struct rss_command *command)
{
	return send(4, 1, command, sizeof(*command));
}

START_TEST(rss)
{
	const struct net_rss *got = &fake.told.rss;
	struct rss_command command = rss_command;

	run(own | everything | controls);
	ck_assert(!fake.told.hashes);
	ck_assert_uint_eq(send_rss(&rss_command), VIRTIO_NET_OK);
	ck_assert(fake.told.hashes);
	ck_assert_uint_eq(got->hash_types, 0x1ff);
	ck_assert_uint_eq(got->table_size, 4);
	ck_assert_uint_eq(got->unclassified, 1);
	ck_assert_mem_eq(got->table, rss_command.table, sizeof(rss_command.table));
	ck_assert_mem_eq(got->key, rss_command.key, sizeof(rss_command.key));
	ck_assert_uint_eq(fake.told.pairs, 3);
	/* Transmit queues are no matter of where to receive: nobody may read the others. */
	command.max_tx_vq = PAIRS;
	ck_assert_uint_eq(send_rss(&command), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, 3);
	command.unclassified = 3;
	ck_assert_uint_eq(send_rss(&command), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, 4);
	ck_assert_uint_eq(send_rss(&rss_command), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, 3);

	/* The last command decides (5.1.6.5.5): hashes go on being reported. */
	ck_assert_uint_eq(send(4, 0, BYTES(2, 0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.pairs, 2);
	ck_assert(fake.told.hashes);
	ck_assert_uint_eq(got->table_size, 0);
	ck_assert_uint_eq(got->hash_types, 0x1ff);
	ck_assert_uint_eq(send_rss(&rss_command), VIRTIO_NET_OK);
	ck_assert_uint_eq(got->table_size, 4);
	ck_assert_uint_eq(send(4, 2, BYTES(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7)),
			  VIRTIO_NET_OK);
	ck_assert_uint_eq(got->table_size, 0);
	ck_assert_uint_eq(got->hash_types, 2);
	ck_assert_uint_eq(got->key[0], 7);
	ck_assert_uint_eq(got->key[1], 0);
	ck_assert_uint_eq(fake.told.pairs, 3);
	/* No hash types: off. */
	ck_assert_uint_eq(send(4, 2, BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), VIRTIO_NET_OK);
	ck_assert(!fake.told.hashes);
	ck_assert_uint_eq(send_rss(&rss_command), VIRTIO_NET_OK);
	negotiate(own | everything | controls);
	ck_assert(!fake.told.hashes);
	ck_assert_uint_eq(fake.told.pairs, 1);
}
END_TEST

START_TEST(rss_refused)
{
	struct rss_command command;
	struct told before;

	run(own | everything | controls);
	before = fake.told;
#define REFUSED(field, value)                                          \
	do {                                                           \
		command = rss_command;                                 \
		command.field = value;                                 \
		ck_assert_uint_eq(send_rss(&command), VIRTIO_NET_ERR); \
		ck_assert_mem_eq(&fake.told, &before, sizeof(before)); \
	} while (0)
	REFUSED(hash_types, 0x200);
	REFUSED(mask, 2);
	REFUSED(mask, 0xffff);
	REFUSED(mask, 7);
	REFUSED(mask, 255);
	REFUSED(unclassified, PAIRS);
	REFUSED(table[3], PAIRS);
	REFUSED(table[0], 0x8000);
	REFUSED(max_tx_vq, 0);
	REFUSED(max_tx_vq, PAIRS + 1);
	REFUSED(key_len, 39);
	REFUSED(key_len, 41);
#undef REFUSED
	/* Three entries, as the length has it: no power of two. */
	ck_assert_uint_eq(send(4, 1, BYTES(0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(4, 1, BYTES(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)),
			  VIRTIO_NET_OK);
}
END_TEST

START_TEST(rss_largest_table)
{
	struct __attribute__((packed)) {
		uint32_t hash_types;
		uint16_t mask, unclassified, table[256], max_tx_vq;
		uint8_t key_len, key[40];
	} large = {.mask = 255, .max_tx_vq = 1, .key_len = 40};
	uint8_t data[sizeof(large)] = {[4] = 127};

	run(own | everything | controls);
	ck_assert_uint_eq(send(4, 1, &large, sizeof(large)), VIRTIO_NET_ERR);
	data[8 + 2 * 128] = 1;
	data[8 + 2 * 127] = 3;
	ck_assert_uint_eq(send(4, 1, data, 8 + 2 * 128 + 3), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.rss.table_size, 128);
	ck_assert_uint_eq(fake.told.rss.table[127], 3);
	ck_assert_uint_eq(fake.told.pairs, 4);
}
END_TEST

START_TEST(offloads)
{
	const uint64_t all = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
			     BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
			     BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6);
	uint64_t value = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_USO4);

	run(own | everything | controls);
	ck_assert_uint_eq(send(5, 0, &value, 8), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.offloads, value);
	/* One that was not negotiated, one that is no offload of this kind, one that needs another.
	 */
	value = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_UFO);
	ck_assert_uint_eq(send(5, 0, &value, 8), VIRTIO_NET_ERR);
	value = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_CSUM);
	ck_assert_uint_eq(send(5, 0, &value, 8), VIRTIO_NET_ERR);
	value = BIT(VIRTIO_NET_F_GUEST_TSO4);
	ck_assert_uint_eq(send(5, 0, &value, 8), VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(5, 0, &all, 8), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.offloads, all);
	value = 0;
	ck_assert_uint_eq(send(5, 0, &value, 8), VIRTIO_NET_OK);
	ck_assert_uint_eq(fake.told.offloads, 0);
}
END_TEST

static void check_coalescing(unsigned int index, uint32_t packets, uint32_t usecs)
{
	const uint8_t expected[8] = {(uint8_t)packets, (uint8_t)(packets >> 8), 0, 0,
				     (uint8_t)usecs,   (uint8_t)(usecs >> 8),	0, 0};
	uint8_t got[8];

	ck_assert_uint_eq(fake.told.packets[index], packets);
	ck_assert_uint_eq(fake.told.usecs[index], usecs);
	ck_assert_uint_eq(send_for(9, 6, 3, BYTES((uint8_t)index, 0, 0xff, 0xff)), VIRTIO_NET_OK);
	memory_read(&mem, gpa(REPLY), got, 8);
	ck_assert_mem_eq(got, expected, 8);
}

/* The example of 5.1.6.5.9. */
START_TEST(coalescing)
{
	run(own | everything | controls);
	for (unsigned int i = 0; i < 4; i++) {
		enable_queue(i);
		check_coalescing(i, 0, 0);
	}
	ck_assert_uint_eq(send(6, 1, BYTES(0x2c, 1, 0, 0, 10, 0, 0, 0)), VIRTIO_NET_OK);
	check_coalescing(0, 300, 10);
	check_coalescing(2, 300, 10);
	check_coalescing(1, 0, 0);
	ck_assert_uint_eq(send(6, 2, BYTES(0, 0, 7, 7, 4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_OK);
	check_coalescing(0, 4, 5);
	check_coalescing(2, 300, 10);
	ck_assert_uint_eq(send(6, 2, BYTES(1, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0)), VIRTIO_NET_OK);
	check_coalescing(1, 6, 7);
	check_coalescing(3, 0, 0);
	ck_assert_uint_eq(send(6, 0, BYTES(8, 0, 0, 0, 9, 0, 0, 0)), VIRTIO_NET_OK);
	check_coalescing(1, 8, 9);
	check_coalescing(3, 8, 9);
	/* Disabled and enabled again: as its direction was set. */
	virtio_device_reset_queue(dev, 0);
	enable_queue(0);
	check_coalescing(0, 300, 10);
	/* One that is not enabled yet has them, too. */
	enable_queue(5);
	check_coalescing(5, 8, 9);
}
END_TEST

/* A queue that stops and goes on (the transport took memory away) was not enabled anew. */
START_TEST(coalescing_of_queue_that_goes_on)
{
	run(own | everything | controls);
	enable_queue(0);
	ck_assert_uint_eq(send(6, 2, BYTES(0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_OK);
	dev->ops->stop_queue(dev, 0);
	ck_assert_int_eq(dev->ops->start_queue(dev, 0), 0);
	check_coalescing(0, 4, 5);
	if (_i) {
		virtio_device_reset_queue(dev, 0);
	} else {
		dev->ops->stop_queue(dev, 0);
		ck_assert_int_eq(dev->ops->start_queue(dev, 0), 0);
		virtio_device_set_queue_ready(dev, 0, false);
	}
	enable_queue(0);
	check_coalescing(0, 0, 0);
}
END_TEST

START_TEST(coalescing_refused)
{
	/* Not enabled; the control queue; none at all. */
	static const uint8_t indices[] = {0, 2 * PAIRS, 200};
	const uint8_t index = indices[_i];

	run(own | everything | controls);
	ck_assert_uint_eq(send(6, 2, BYTES(index, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(send_for(9, 6, 3, BYTES(index, 0, 0, 0)), VIRTIO_NET_ERR);
}
END_TEST

/* With one pair the control queue has a number that could be a receive queue's. */
START_TEST(coalescing_of_control_queue)
{
	run(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_VQ_NOTF_COAL));
	ck_assert_uint_eq(send(6, 2, BYTES(2, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_ERR);
	enable_queue(1);
	ck_assert_uint_eq(send(6, 2, BYTES(1, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_OK);
}
END_TEST

static uint16_t config_status(void)
{
	uint16_t status;

	virtio_device_read_config(dev, offsetof(struct virtio_net_config, status), &status, 2);
	return status;
}

START_TEST(announce)
{
	uint32_t generation;

	run(own | everything | controls);
	generation = dev->config_generation;
	ck_assert_int_eq(virtio_net_announce(dev), 0);
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	ck_assert_uint_ne(dev->config_generation, generation);
	ck_assert_uint_eq(dev->interrupt_status & VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 1);
	/* Once more, before the driver has said that it did. */
	ck_assert_int_eq(virtio_net_announce(dev), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 1);
	ck_assert_uint_eq(send(3, 0, "", 0), VIRTIO_NET_OK);
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 0);
	/* A reset takes a wish back that was not fulfilled. */
	ck_assert_int_eq(virtio_net_announce(dev), 0);
	negotiate((own | everything | controls) & ~BIT(VIRTIO_NET_F_GUEST_ANNOUNCE));
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert_int_eq(virtio_net_announce(dev), -EOPNOTSUPP);
	virtio_device_set_status(dev, 0);
	ck_assert_int_eq(virtio_net_announce(dev), -EOPNOTSUPP);
}
END_TEST

START_TEST(link_state)
{
	run(own | everything | controls);
	virtio_net_set_link(dev, false);
	ck_assert_uint_eq(config_status(), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 1);
	ck_assert(fake.told.link_down);
	/* What the driver commands meanwhile holds. */
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert(fake.told.link_down && !accepts(to_other, 14));
	virtio_net_set_link(dev, false);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 0);
	virtio_net_set_link(dev, true);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 1);
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert(!fake.told.link_down && accepts(to_us, 14) && !accepts(to_other, 14));
	/* The cable doesn't care about resets, nor about what the driver knows of it. */
	virtio_net_set_link(dev, false);
	negotiate(BIT(VIRTIO_F_VERSION_1));
	ck_assert_uint_eq(config_status(), 0);
	ck_assert(fake.told.link_down && !fake.told.filtered);
	virtio_device_set_status(dev, 0);
	fd_eventfd_drain(dev->config_call_fd);
	virtio_net_set_link(dev, true);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 0);
}
END_TEST

/* The device goes on without its backend: a driver must not wait for its control queue in vain. */
START_TEST(backend_fails)
{
	if (_i)
		fake.failing = 1; /* the filter */
	else
		fake.set_features_result = -EBADFD;
	run(own | everything | controls);
	ck_assert_uint_eq(dev->status, RUNNING);
	ck_assert_ptr_nonnull(strstr(message, "net0: "));
	ck_assert_ptr_nonnull(strstr(message, strerror(_i ? EIO : EBADFD)));
	ck_assert_uint_eq(config_status(), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 1);
	ck_assert(fake.told.link_down);
	enable_queue(0);
	ck_assert(fake.running[0]);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	/* The cable doesn't help. */
	virtio_net_set_link(dev, false);
	virtio_net_set_link(dev, true);
	ck_assert(fake.told.link_down);
	ck_assert_uint_eq(config_status(), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 0);
	/* The same again: the log has it. */
	message[0] = '\0';
	fake.failing += _i ? fake.calls : 0;
	negotiate(own | everything | controls);
	ck_assert_uint_eq(dev->status, RUNNING);
	ck_assert(fake.told.link_down);
	ck_assert_str_eq(message, "");
	/* The next driver may be luckier. */
	fake.set_features_result = 0;
	fd_eventfd_drain(dev->config_call_fd);
	virtio_device_set_status(dev, 0);
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP);
	negotiate(own | everything | controls);
	ck_assert_uint_eq(config_status(), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(fd_eventfd_drain(dev->config_call_fd), 0);
	ck_assert(!fake.told.link_down);
}
END_TEST

START_TEST(link_without_datapath)
{
	create();
	negotiate(own | everything);
	virtio_net_set_link(dev, false);
	ck_assert_uint_eq(config_status(), 0);
}
END_TEST

/* --- the ring of it --- */

START_TEST(interrupts)
{
	run(own | everything | controls);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(dev->interrupt_status, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(fd_eventfd_drain(dev->queues[control_index()].call_fd), 1);
	/* Not asked for again: event index. */
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fd_eventfd_drain(dev->queues[control_index()].call_fd), 0);
	ck_assert(!driver_enable_interrupts(&control));
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(fd_eventfd_drain(dev->queues[control_index()].call_fd), 1);
}
END_TEST

/* Commands that were there before the queue was enabled need no kick. */
START_TEST(commands_before_start)
{
	uint32_t id, used;

	create_full();
	negotiate(own | everything | controls);
	driver_ring_init(&control, &mem, gpa(CONTROL_RING), CONTROL_SIZE, true, 0);
	put_command(0, 0, 0, BYTES(0));
	driver_expose(&control);
	dev->queues[control_index()].ring = driver_ring_state(&control);
	virtio_device_set_queue_ready(dev, control_index(), true);
	turn();
	ck_assert(driver_used(&control, &id, &used));
	ck_assert_uint_eq(reply_byte(0), VIRTIO_NET_OK);
}
END_TEST

/* 2.7.4: whatever way the bytes are cut into pieces. */
START_TEST(framing)
{
	static const uint8_t mac[6] = {2, 5, 5, 5, 5, 5};
	uint32_t id, used;
	unsigned int i;

	run(own | everything | controls);
	memory_write(&mem, gpa(BUFFER), (uint8_t[]){1, 1, 2, 5, 5, 5, 5, 5}, 8);
	if (_i) {
		for (i = 0; i < 8; i++)
			driver_fill_desc(&control.desc[i], BUFFER + i, 1, VRING_DESC_F_NEXT, i + 1);
	} else {
		i = 1;
		driver_fill_desc(&control.desc[0], BUFFER, 8, VRING_DESC_F_NEXT, 1);
	}
	driver_fill_desc(&control.desc[i], REPLY, 1, VRING_DESC_F_WRITE, 0);
	driver_add(&control, 0);
	kick();
	turn();
	ck_assert(driver_used(&control, &id, &used));
	ck_assert_uint_eq(used, 1);
	ck_assert_uint_eq(reply_byte(0), VIRTIO_NET_OK);
	ck_assert_mem_eq(fake.told.filter.mac, mac, 6);
}
END_TEST

/* A reply in single bytes, too; and one that has no room for it. */
START_TEST(reply_framing)
{
	uint32_t id, used;

	run(own | everything | controls);
	enable_queue(0);
	ck_assert_uint_eq(send(6, 2, BYTES(0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_OK);
	memory_write(&mem, gpa(BUFFER), (uint8_t[]){6, 3, 0, 0, 0, 0}, 6);
	memory_write(&mem, gpa(REPLY), (uint8_t[]){9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, 10);
	driver_fill_desc(&control.desc[0], BUFFER, 6, VRING_DESC_F_NEXT, 1);
	for (unsigned int i = 0; i < (unsigned int)_i; i++)
		driver_fill_desc(&control.desc[i + 1], REPLY + i, 1,
				 VRING_DESC_F_WRITE |
					 (i + 1u < (unsigned int)_i ? VRING_DESC_F_NEXT : 0),
				 i + 2);
	driver_add(&control, 0);
	kick();
	turn();
	ck_assert(driver_used(&control, &id, &used));
	if (_i == 9) {
		ck_assert_uint_eq(used, 9);
		ck_assert_uint_eq(reply_byte(0), 4);
		ck_assert_uint_eq(reply_byte(4), 5);
		ck_assert_uint_eq(reply_byte(8), VIRTIO_NET_OK);
	} else {
		ck_assert_uint_eq(used, 1);
		ck_assert_uint_eq(reply_byte(0), VIRTIO_NET_ERR);
		ck_assert_uint_eq(reply_byte(1), 9);
	}
}
END_TEST

START_TEST(no_room_for_ack)
{
	uint32_t id, used;

	run(own | everything | controls);
	memory_write(&mem, gpa(BUFFER), (uint8_t[]){0, 0, 0}, 3);
	driver_fill_desc(&control.desc[0], BUFFER, 3, 0, 0);
	driver_add(&control, 0);
	kick();
	turn();
	ck_assert(driver_used(&control, &id, &used));
	ck_assert_uint_eq(used, 0);
	ck_assert(fake.told.filter.promisc);
	/* Nothing to read, not even a command. */
	driver_fill_desc(&control.desc[0], REPLY, 1, VRING_DESC_F_WRITE, 0);
	driver_add(&control, 0);
	kick();
	turn();
	ck_assert(driver_used(&control, &id, &used));
	ck_assert_uint_eq(reply_byte(0), VIRTIO_NET_ERR);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
}
END_TEST

/* A guest that has many commands doesn't keep the loop to itself. */
START_TEST(many_commands)
{
	unsigned int done = 0, turns = 0;
	uint32_t id, used;

	run(own | everything | controls);
	for (uint16_t i = 0; i < 21; i++)
		put_command(i, 0, 0, BYTES(0));
	/* Each of them thrice. */
	for (uint16_t i = 0; i < 42; i++)
		driver_add(&control, (uint16_t)(3 * (i % 21)));
	kick();
	while (done < 63) {
		unsigned int before = done;

		turn();
		turns++;
		while (driver_used(&control, &id, &used))
			done++;
		ck_assert_uint_eq(done - before, 1);
	}
	ck_assert_uint_eq(turns, 63);
	/* One turn finds no more; then there is nothing left to wake for. */
	turn();
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
}
END_TEST

START_TEST(broken_ring)
{
	run(own | everything | controls);
	driver_add(&control, CONTROL_SIZE);
	kick();
	turn();
	ck_assert(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_ptr_nonnull(strstr(message, "net0: "));
	ck_assert_ptr_nonnull(strstr(message, "control ring: "));
	kick();
	turn();
	negotiate(own | everything | controls);
	ck_assert_uint_eq(dev->status, RUNNING);
	enable_control();
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
}
END_TEST

START_TEST(ring_outside_of_memory)
{
	create_full();
	negotiate(own | everything | controls);
	dev->queues[control_index()].ring = (struct ring_state){.size = 8, .desc = {MEMORY}};
	virtio_device_set_queue_ready(dev, control_index(), true);
	ck_assert_uint_eq(dev->status, RUNNING);
	turn();
	ck_assert(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}
END_TEST

/* RING_RESET: the queue begins anew, what was commanded stays. */
START_TEST(ring_reset)
{
	run(own | everything | controls);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	put_command(0, 0, 0, BYTES(1));
	kick();
	virtio_device_reset_queue(dev, control_index());
	turn();
	ck_assert(!fake.told.filter.promisc);
	enable_control();
	ck_assert(!fake.told.filter.promisc);
	ck_assert_uint_eq(send(4, 0, BYTES(2, 0)), VIRTIO_NET_OK);
}
END_TEST

/* The transport takes memory away and gives it back: the driver's settings are still there. */
START_TEST(suspend)
{
	uint8_t mac[6];

	run(own | everything | controls);
	enable_queue(0);
	ck_assert_uint_eq(send(1, 1, BYTES(2, 7, 7, 7, 7, 7)), VIRTIO_NET_OK);
	ck_assert_uint_eq(send_rss(&rss_command), VIRTIO_NET_OK);
	ck_assert_uint_eq(send(5, 0, BYTES(2, 0, 0, 0, 0, 0, 0, 0)), VIRTIO_NET_OK);
	ck_assert_uint_eq(send(6, 1, BYTES(4, 0, 0, 0, 5, 0, 0, 0)), VIRTIO_NET_OK);
	virtio_device_suspend(dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert(!fake_runs(&fake));
	virtio_device_resume(dev, VIRTIO_SUSPEND_MEMORY);
	turn();
	ck_assert_uint_eq(fake.told.pairs, 3);
	ck_assert_uint_eq(fake.told.rss.table_size, 4);
	ck_assert_uint_eq(fake.told.offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
	ck_assert_uint_eq(fake.told.filter.mac[1], 7);
	virtio_device_read_config(dev, 0, mac, 6);
	ck_assert_uint_eq(mac[1], 7);
	check_coalescing(0, 4, 5);
	check_coalescing(0, 4, 5);
}
END_TEST

/* The control queue where it is if neither MQ nor RSS was negotiated. */
START_TEST(control_of_one_pair)
{
	run((own | everything | controls) & ~(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS)));
	ck_assert_uint_eq(control_index(), 2);
	ck_assert(!fake.running[2]);
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
	/* The next driver uses the same queue for packets. */
	negotiate(own | everything | controls);
	enable_queue(2);
	ck_assert(fake.running[2]);
	fd_eventfd_signal(dev->queues[2].kick_fd);
	turn();
	/* Its kicks are the datapath's. */
	ck_assert_uint_eq(fd_eventfd_drain(dev->queues[2].kick_fd), 1);
	enable_control();
	ck_assert_uint_eq(send(0, 0, BYTES(0)), VIRTIO_NET_OK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_net");
	TCase *tc = tcase_create("virtio-net");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, queues);
	tcase_add_loop_test(tc, offered, 0, 4);
	tcase_add_test(tc, config);
	tcase_add_loop_test(tc, feature_sets, 0, sizeof(sets) / sizeof(sets[0]));
	tcase_add_test(tc, backend_offers_less);
	tcase_add_test(tc, rings);
	tcase_add_loop_test(tc, ring_breaks, 0, 2);
	tcase_add_test(tc, what_happens_first_is_marked);
	tcase_add_test(tc, backend_refuses_features);
	tcase_add_test(tc, long_id);
	tcase_add_loop_test(tc, full_feature_sets, 0, sizeof(full_sets) / sizeof(full_sets[0]));
	tcase_add_loop_test(tc, full_queues, 0, 2);
	tcase_add_test(tc, queue_size);
	tcase_add_loop_test(tc, queue_set_up_too_early, 2, 4);
	tcase_add_test(tc, disabled);
	tcase_add_test(tc, disabled_takes_along);
	tcase_add_test(tc, never_offered);
	tcase_add_test(tc, full_config);
	tcase_add_loop_test(tc, each_command, 0, N_COMMANDS);
	tcase_add_loop_test(tc, each_command_fails, 0, N_COMMANDS);
	tcase_add_test(tc, unknown_commands);
	tcase_add_test(tc, receive_modes);
	tcase_add_test(tc, extra_modes_alone);
	tcase_add_test(tc, no_filter_wanted);
	tcase_add_test(tc, mac_table);
	tcase_add_test(tc, very_many_addresses);
	tcase_add_test(tc, mac_address);
	tcase_add_test(tc, vlans);
	tcase_add_test(tc, queue_pairs);
	tcase_add_test(tc, rss);
	tcase_add_test(tc, rss_refused);
	tcase_add_test(tc, rss_largest_table);
	tcase_add_test(tc, offloads);
	tcase_add_test(tc, coalescing);
	tcase_add_loop_test(tc, coalescing_of_queue_that_goes_on, 0, 2);
	tcase_add_loop_test(tc, coalescing_refused, 0, 3);
	tcase_add_test(tc, coalescing_of_control_queue);
	tcase_add_test(tc, announce);
	tcase_add_test(tc, link_state);
	tcase_add_loop_test(tc, backend_fails, 0, 2);
	tcase_add_test(tc, link_without_datapath);
	tcase_add_test(tc, interrupts);
	tcase_add_test(tc, commands_before_start);
	tcase_add_loop_test(tc, framing, 0, 2);
	tcase_add_loop_test(tc, reply_framing, 1, 10);
	tcase_add_test(tc, no_room_for_ack);
	tcase_add_test(tc, many_commands);
	tcase_add_test(tc, broken_ring);
	tcase_add_test(tc, ring_outside_of_memory);
	tcase_add_test(tc, ring_reset);
	tcase_add_test(tc, suspend);
	tcase_add_test(tc, control_of_one_pair);
	suite_add_tcase(suite, tc);
	tc = tcase_create("refused");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, required, 0, sizeof(unmet) / sizeof(unmet[0]));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
