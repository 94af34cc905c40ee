/* SPDX-License-Identifier: Apache-2.0 */
/* A network device that moves from one datapath to another while its driver runs. */
#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/core/loop.h"
#include "vmm/core/memory.h"

#define BIT(name) (1ULL << (name))

enum {
	RINGS = 4,
	STATUS_RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
	STEP = 7, /* each datapath serves so many chains of a ring */
};

struct fake {
	struct datapath datapath;
	uint64_t offers, accepted;
	unsigned int pairs, told_pairs;
	bool running[RINGS];
	struct ring_state state[RINGS];
	bool link_up, destroyed;
	unsigned int full;	    /* so often it says that a packet waits inside */
	unsigned int starts;	    /* of rings */
	unsigned int failing_start; /* this one fails, from 1 on */
	bool refuses;		    /* features */
	uint8_t announced[6];
};

static struct fake a, b;
static struct virtio_device *dev;
static struct loop *loop;
static struct guest_memory mem;
static struct error err;

static struct fake *fake(const struct datapath *dp)
{
	return (struct fake *)dp;
}

static uint64_t fake_features(const struct datapath *dp)
{
	return fake(dp)->offers;
}

static unsigned int fake_pairs(const struct datapath *dp)
{
	return fake(dp)->pairs;
}

static int fake_set_features(struct datapath *dp, uint64_t features)
{
	struct fake *f = fake(dp);

	for (int i = 0; i < RINGS; i++)
		ck_assert(!f->running[i]);
	f->accepted = features;
	f->told_pairs = 0;
	f->link_up = true;
	return f->refuses ? -EIO : 0;
}

static int fake_set_link(struct datapath *dp, bool up)
{
	fake(dp)->link_up = up;
	return 0;
}

static int fake_set_queue_pairs(struct datapath *dp, unsigned int n)
{
	fake(dp)->told_pairs = n;
	return 0;
}

static int fake_start_ring(struct datapath *dp, unsigned int index, const struct ring_state *state,
			   const struct datapath_wires *wires)
{
	struct fake *f = fake(dp);

	(void)wires;
	ck_assert(!a.running[index] && !b.running[index]);
	ck_assert(f->pairs == 1 || f->told_pairs);
	if (++f->starts == f->failing_start)
		return -EIO;
	f->running[index] = true;
	f->state[index] = *state;
	return 0;
}

static void fake_stop_ring(struct datapath *dp, unsigned int index, struct ring_state *state)
{
	struct fake *f = fake(dp);

	ck_assert(f->running[index]);
	f->running[index] = false;
	*state = f->state[index];
	state->next_avail = (uint16_t)(state->next_avail + STEP);
	state->next_used = (uint16_t)(state->next_used + STEP);
}

static int fake_announce(struct datapath *dp, const uint8_t mac[6])
{
	memcpy(fake(dp)->announced, mac, 6);
	return 0;
}

static bool fake_empty(struct datapath *dp)
{
	struct fake *f = fake(dp);

	if (!f->full)
		return true;
	f->full--;
	return false;
}

static void fake_destroy(struct datapath *dp)
{
	fake(dp)->destroyed = true;
}

static const struct datapath_ops fake_ops = {
	.features = fake_features,
	.max_queue_pairs = fake_pairs,
	.set_features = fake_set_features,
	.start_ring = fake_start_ring,
	.stop_ring = fake_stop_ring,
	.set_link = fake_set_link,
	.set_queue_pairs = fake_set_queue_pairs,
	.announce = fake_announce,
	.empty = fake_empty,
	.destroy = fake_destroy,
};

static const uint64_t both = BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_RING_F_EVENT_IDX) |
			     BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_NET_F_GUEST_CSUM);

static void setup(void)
{
	static const struct memory_range range = {0, 0x10000};
	static const struct memory_config config;

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	a = (struct fake){.datapath = {.ops = &fake_ops, .kind = "a"}, .offers = both, .pairs = 1};
	b = (struct fake){.datapath = {.ops = &fake_ops, .kind = "b"}, .offers = both, .pairs = 1};
	dev = NULL;
}

static void teardown(void)
{
	virtio_device_destroy(dev);
	loop_destroy(loop);
	memory_destroy(&mem);
}

static void create(bool switchable)
{
	const struct virtio_net_options options = {
		.id = "net0",
		.mem = &mem,
		.loop = loop,
		.mac = {2, 0, 0, 0, 0, 9},
		.switchable = switchable,
	};

	ck_assert_int_eq(virtio_net_create(&options, &a.datapath, NULL, &dev, NULL), 0);
}

/* A driver that takes @features and uses @rings rings. */
static void drive(uint64_t features, unsigned int rings)
{
	features |= BIT(VIRTIO_F_VERSION_1);
	virtio_device_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	virtio_device_accept_features(dev, 0, (uint32_t)features);
	virtio_device_accept_features(dev, 1, (uint32_t)(features >> 32));
	virtio_device_set_status(dev, STATUS_RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned int i = 0; i < rings; i++) {
		dev->queues[i].ring = (struct ring_state){8, {0}, {0x1000}, {0x2000}, 0, 0};
		virtio_device_set_queue_ready(dev, i, true);
	}
	virtio_device_set_status(dev, STATUS_RUNNING);
}

static int move(struct fake *from, struct fake *to)
{
	struct datapath *dp = &to->datapath;
	int ret = virtio_net_switch(dev, &dp, &err);

	ck_assert_ptr_eq(dp, ret ? &to->datapath : &from->datapath);
	ck_assert_ptr_eq(virtio_net_datapath(dev), ret ? &from->datapath : &to->datapath);
	return ret;
}

static uint16_t status(void)
{
	uint8_t bytes[2];

	virtio_device_read_config(dev, offsetof(struct virtio_net_config, status), bytes, 2);
	return bytes[0];
}

START_TEST(rings_go_on)
{
	create(false);
	drive(both, 2);
	for (unsigned int i = 1; i <= 1000; i++) {
		struct fake *from = i % 2 ? &a : &b, *to = i % 2 ? &b : &a;

		ck_assert_int_eq(move(from, to), 0);
		ck_assert(to->running[0] && to->running[1] && !from->running[0]);
		ck_assert_uint_eq(to->state[0].next_avail, (uint16_t)(i * STEP));
		ck_assert_uint_eq(to->state[1].next_used, (uint16_t)(i * STEP));
		ck_assert_uint_eq(to->accepted, dev->accepted);
	}
	ck_assert_uint_eq(dev->status, STATUS_RUNNING);
	ck_assert_uint_eq(dev->interrupt_status, 0); /* the driver notices nothing */
	ck_assert_uint_eq(dev->config_generation, 0);
	ck_assert(!a.destroyed && !b.destroyed);
}
END_TEST

START_TEST(without_driver)
{
	create(false);
	ck_assert_int_eq(move(&a, &b), 0);
	drive(both, 2);
	ck_assert(b.running[0] && !a.running[0]);
}
END_TEST

START_TEST(refuses_to_lose_a_feature)
{
	b.offers &= ~BIT(VIRTIO_NET_F_MRG_RXBUF);
	create(false);
	drive(both, 2);
	ck_assert_int_eq(move(&a, &b), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "mrg_rxbuf"));
	ck_assert_uint_eq(a.starts, 2); /* nothing was disturbed */
	/* A feature that its driver doesn't use is nothing to lose. */
	virtio_device_set_status(dev, 0);
	drive(both & ~BIT(VIRTIO_NET_F_MRG_RXBUF), 2);
	ck_assert_int_eq(move(&a, &b), 0);
	/* Nor is it offered any more; but again when it can be had. */
	ck_assert(!(dev->offered & BIT(VIRTIO_NET_F_MRG_RXBUF)));
	ck_assert_int_eq(move(&b, &a), 0);
	ck_assert(dev->offered & BIT(VIRTIO_NET_F_MRG_RXBUF));
}
END_TEST

/* What only permits something. */
START_TEST(optional_features)
{
	b.offers &= ~BIT(VIRTIO_NET_F_GUEST_CSUM);
	create(false);
	drive(both, 2);
	ck_assert_int_eq(move(&a, &b), 0);
}
END_TEST

START_TEST(driver_is_starting)
{
	create(false);
	virtio_device_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	ck_assert_int_eq(move(&a, &b), -EBUSY);
	virtio_device_set_status(dev, 0);
	ck_assert_int_eq(move(&a, &b), 0);
}
END_TEST

START_TEST(switchable)
{
	a.offers |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_F_RING_PACKED) |
		    BIT(VIRTIO_NET_F_NOTF_COAL);
	create(true);
	ck_assert_uint_eq(dev->offered & a.offers, both);
	drive(both, 2);
	ck_assert_int_eq(move(&a, &b), 0);
}
END_TEST

START_TEST(rolls_back)
{
	create(false);
	drive(both, 2);
	if (_i == 0)
		b.refuses = true;
	else
		b.failing_start = (unsigned int)_i;
	ck_assert_int_eq(move(&a, &b), -EIO);
	ck_assert_ptr_nonnull(strstr(err.text, "b can't take over"));
	ck_assert(a.running[0] && a.running[1] && !b.running[0] && !b.running[1]);
	ck_assert_uint_eq(a.accepted, dev->accepted);
	ck_assert_uint_eq(dev->status, STATUS_RUNNING);
	/* It can be tried again. */
	b.refuses = false;
	b.failing_start = 0;
	ck_assert_int_eq(move(&a, &b), 0);
	ck_assert(b.running[0] && b.running[1]);
}
END_TEST

/* Neither can: what was there before, its tap deleted, keeps the rings for the next one. */
START_TEST(rolls_back_to_what_has_gone)
{
	create(false);
	drive(both, 2);
	a.refuses = b.refuses = true;
	ck_assert_int_eq(move(&a, &b), -EIO);
	ck_assert_uint_eq(dev->status, STATUS_RUNNING);
	ck_assert(a.running[0] && a.running[1] && !a.link_up);
	ck_assert_uint_eq(status(), 0);
	b.refuses = false;
	ck_assert_int_eq(move(&a, &b), 0);
	ck_assert(b.running[0] && b.running[1] && b.link_up);
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP);
}
END_TEST

/* Neither can go on: that is the end of the device, not of the VM. */
START_TEST(nobody_takes_over)
{
	create(false);
	drive(both, 2);
	b.refuses = true;
	a.failing_start = 4; /* its second ring, when it is to go on */
	ck_assert_int_eq(move(&a, &b), -EIO);
	ck_assert(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	a.failing_start = 0;
	virtio_device_set_status(dev, 0);
	drive(both, 2);
	ck_assert(a.running[0] && a.running[1]);
}
END_TEST

START_TEST(waits_for_a_packet_inside)
{
	create(false);
	drive(both, 2);
	a.full = 3;
	ck_assert_int_eq(move(&a, &b), 0);
	ck_assert_uint_eq(a.full, 0);
	ck_assert_uint_eq(a.starts, 2 + 3 * 2);
	/* But not for ever: a driver may make no buffers available. */
	b.full = 1000000;
	ck_assert_int_eq(move(&b, &a), 0);
	ck_assert(a.running[0]);
}
END_TEST

START_TEST(pairs)
{
	const uint64_t features = both | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ);

	a.offers |= BIT(VIRTIO_NET_F_MQ);
	b.offers |= BIT(VIRTIO_NET_F_MQ);
	a.pairs = 2;
	b.pairs = 1;
	create(false);
	drive(features, 5);
	ck_assert_uint_eq(a.told_pairs, 1);
	ck_assert_int_eq(move(&a, &b), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "mq"));
	b.pairs = 2;
	ck_assert_int_eq(move(&a, &b), 0);
	ck_assert_uint_eq(b.told_pairs, 1);
	for (int i = 0; i < RINGS; i++)
		ck_assert(b.running[i]);
	ck_assert(dev->queues[4].running); /* the control queue is the device's */
}
END_TEST

START_TEST(link_stays_as_it_is)
{
	create(false);
	drive(both, 2);
	virtio_net_set_link(dev, false);
	ck_assert_int_eq(move(&a, &b), 0);
	ck_assert(!b.link_up);
	virtio_net_set_link(dev, true);
	ck_assert(b.link_up);
}
END_TEST

/* The driver sees it, the datapath doesn't: what is in the rings waits. */
START_TEST(carrier)
{
	create(false);
	drive(both | BIT(VIRTIO_NET_F_STATUS), 2);
	virtio_net_set_carrier(dev, false);
	ck_assert_uint_eq(status(), 0);
	ck_assert(a.link_up && a.running[0]);
	ck_assert_uint_eq(dev->interrupt_status, VIRTIO_MMIO_INT_CONFIG);
	virtio_net_set_link(dev, false);
	virtio_net_set_carrier(dev, true);
	ck_assert_uint_eq(status(), 0);
	virtio_net_set_link(dev, true);
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP);
}
END_TEST

/* A driver that can't announce itself is announced. */
START_TEST(announcement)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};

	create(false);
	ck_assert_int_eq(virtio_net_announce(dev), -EOPNOTSUPP);
	drive(both, 2);
	ck_assert_int_eq(virtio_net_announce(dev), 0);
	ck_assert_mem_eq(a.announced, mac, 6);
	virtio_device_set_status(dev, 0);
	memset(a.announced, 0, 6);
	drive(both | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
		      BIT(VIRTIO_NET_F_GUEST_ANNOUNCE),
	      3);
	ck_assert_int_eq(virtio_net_announce(dev), 0);
	ck_assert_uint_eq(a.announced[5], 0);
	ck_assert_uint_eq(status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_switch");
	TCase *tc = tcase_create("net_switch");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rings_go_on);
	tcase_add_test(tc, without_driver);
	tcase_add_test(tc, refuses_to_lose_a_feature);
	tcase_add_test(tc, optional_features);
	tcase_add_test(tc, driver_is_starting);
	tcase_add_test(tc, switchable);
	tcase_add_loop_test(tc, rolls_back, 0, 3);
	tcase_add_test(tc, rolls_back_to_what_has_gone);
	tcase_add_test(tc, nobody_takes_over);
	tcase_add_test(tc, waits_for_a_packet_inside);
	tcase_add_test(tc, pairs);
	tcase_add_test(tc, link_stays_as_it_is);
	tcase_add_test(tc, carrier);
	tcase_add_test(tc, announcement);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
