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

#include "virtio/datapath.h"
#include "virtio/device.h"

#define BIT(name) (1ULL << (name))

enum {
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
};

struct fake {
	struct datapath datapath;
	uint64_t offers, got;
	int set_features_result;
	struct ring_state state[2];
	struct datapath_wires wires[2];
	bool running[2];
	unsigned int starts;
	bool destroyed;
};

static struct fake fake;
static struct virtio_device *dev;
static char message[256];
static struct virtio_net_options options;

static uint64_t fake_features(const struct datapath *dp)
{
	return ((const struct fake *)dp)->offers;
}

static int fake_set_features(struct datapath *dp, uint64_t features)
{
	struct fake *f = (struct fake *)dp;

	ck_assert(!f->running[0] && !f->running[1]);
	f->got = features;
	return f->set_features_result;
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

	ck_assert(!f->running[0] && !f->running[1]);
	f->destroyed = true;
}

static const struct datapath_ops fake_ops = {
	.features = fake_features,
	.set_features = fake_set_features,
	.start_ring = fake_start_ring,
	.stop_ring = fake_stop_ring,
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

static void setup(void)
{
	fake = (struct fake){.datapath.ops = &fake_ops, .offers = everything};
	message[0] = '\0';
	options = (struct virtio_net_options){.id = "net0", .mac = {2, 0, 0, 1, 2, 3}};
}

static void teardown(void)
{
	virtio_device_destroy(dev);
	ck_assert(fake.destroyed);
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
	ck_assert_uint_eq(dev->n_queues, 2);
	ck_assert_uint_eq(dev->queues[0].size_max, 256);
	ck_assert_uint_eq(dev->queues[1].size_max, 256);
}
END_TEST

START_TEST(offered)
{
	const uint64_t own = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_RESET) |
			     BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS);

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
	/* mac, status LINK_UP, max_virtqueue_pairs 1, mtu 9000; nothing behind them */
	static const uint8_t expected[16] = {2, 0, 0, 1, 2, 3, 1, 0, 1, 0, 0x28, 0x23};
	uint8_t data[16];

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
	{BIT(VIRTIO_NET_F_CTRL_VQ), false},
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
	tcase_add_test(tc, backend_refuses_features);
	tcase_add_test(tc, long_id);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
