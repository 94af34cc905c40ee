/* SPDX-License-Identifier: Apache-2.0 */
/* Features and the device status (2.1, 2.2, 3.1). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	ALL_BUT_RESET = 0xff & ~VIRTIO_NEEDS_RESET,
	UP_TO_FEATURES_OK = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK,
};

static void set_status(uint64_t status)
{
	device.transport->set_status(&device, (uint8_t)status);
}

static void must_refuse(uint64_t features)
{
	expect(!(negotiate_exactly(features) & VIRTIO_FEATURES_OK), "features %#lx are accepted",
	       features);
	expect(virtio_reset(&device), "a reset doesn't end");
}

static void each_not_offered(uint64_t arg)
{
	(void)arg;
	for (unsigned int bit = 0; bit < 64; bit++)
		if (!offers(bit))
			must_refuse(FEATURE(bit) | FEATURE(VIRTIO_F_VERSION_1));
}

static void all_bits(uint64_t arg)
{
	(void)arg;
	must_refuse(UINT64_MAX);
}

static void without_version_1(uint64_t arg)
{
	(void)arg;
	must_refuse(0);
	must_refuse(offered & ~FEATURE(VIRTIO_F_VERSION_1));
}

/* 2.2.1: what is refused gives no running device. */
static void go_on_after_refusal(uint64_t arg)
{
	(void)arg;
	negotiate_exactly(UINT64_MAX);
	for (uint16_t queue = 0; queue < 2; queue++)
		set_up_queue(queue, QUEUE_SIZE);
	set_status(UP_TO_FEATURES_OK | VIRTIO_DRIVER_OK);
	kick(TRANSMIT);
	expect(!(device.transport->status(&device) & VIRTIO_DRIVER_OK), "it runs");
}

/* 3.1.1: no more after FEATURES_OK. */
static void change_when_running(uint64_t features)
{
	device.transport->accept(&device, features);
}

static void all_that_is_offered(uint64_t arg)
{
	(void)arg;
	negotiate_exactly(offered);
	for (uint16_t queue = 0; queue < 2; queue++)
		set_up_queue(queue, QUEUE_SIZE);
	virtio_driver_ok(&device);
	kick(TRANSMIT);
}

/* --- status --- */

/* Every value after a reset; and kicks, as if queues were there. */
static void each_status(uint64_t arg)
{
	(void)arg;
	for (unsigned int value = 1; value < 256; value++) {
		set_status(value);
		kick(RECEIVE);
		kick(TRANSMIT);
		expect(!(device.transport->status(&device) & VIRTIO_DRIVER_OK),
		       "status %#x without features: it runs", value);
		expect(virtio_reset(&device), "a reset doesn't end");
	}
}

/* One after the other, up or down. */
static void all_statuses(uint64_t down)
{
	for (unsigned int i = 1; i < 256; i++)
		set_status(down ? 256 - i : i);
}

/* 2.1.1: the driver must not clear a bit; the device doesn't, or takes it for nothing. */
static void clear_bits(uint64_t arg)
{
	(void)arg;
	for (unsigned int value = 1; value < 256; value++)
		if (!(value & VIRTIO_FAILED))
			set_status(value);
}

static void status_when_running(uint64_t status)
{
	set_status(status);
}

static void driver_ok_first(uint64_t arg)
{
	(void)arg;
	set_status(VIRTIO_DRIVER_OK);
	negotiate(0);
	set_status(UP_TO_FEATURES_OK);
	for (uint16_t queue = 0; queue < 2; queue++)
		set_up_queue(queue, QUEUE_SIZE);
}

static void driver_ok_again(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		virtio_driver_ok(&device);
}

static void queues_before_features(uint64_t arg)
{
	(void)arg;
	device.features = ring_features;
	for (uint16_t queue = 0; queue < 2; queue++)
		set_up_queue(queue, QUEUE_SIZE);
	kick(TRANSMIT);
	device.transport->accept(&device, ring_features | FEATURE(VIRTIO_F_VERSION_1));
	set_status(UP_TO_FEATURES_OK);
	set_status(UP_TO_FEATURES_OK | VIRTIO_DRIVER_OK);
	kick(TRANSMIT);
}

/* The queue that is the control queue, and is none with these features. */
static void queue_that_goes_away(uint64_t features)
{
	struct virtio_queue_areas areas;

	device.features = ring_features;
	new_areas(&areas);
	if (device.transport->queue_max(&device, 2) != 0)
		device.transport->enable_queue(&device, 2, QUEUE_SIZE, &areas);
	device.transport->accept(&device, features | ring_features | FEATURE(VIRTIO_F_VERSION_1));
	set_status(UP_TO_FEATURES_OK);
	set_status(UP_TO_FEATURES_OK | VIRTIO_DRIVER_OK);
	kick(2);
}

static void no_queues(uint64_t arg)
{
	(void)arg;
	negotiate(0);
	virtio_driver_ok(&device);
	for (unsigned int queue = 0; queue < 8; queue++)
		kick(queue < 3 ? queue : 0);
}

static void reset_storm(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		size_t mark = alloc_mark();

		start(0);
		give_buffers(1, BUFFER_SIZE);
		kick(TRANSMIT);
		set_status(0);
		alloc_release(mark);
	}
}

static const struct trick tricks[] = {
	{"2.2.1", "each feature that isn't offered", each_not_offered, 0, ANYTHING, BARE, 0},
	{"2.2.1", "all features there could be", all_bits, 0, ANYTHING, BARE, 0},
	{"6.1", "no VERSION_1", without_version_1, 0, ANYTHING, BARE, 0},
	{"2.2.1", "going on after features were refused", go_on_after_refusal, 0, ANYTHING, BARE,
	 0},
	{"2.2.1", "all that is offered, packed or not", all_that_is_offered, 0, ANYTHING, BARE, 0},
	{"3.1.1", "no features any more, on a running device", change_when_running, 0, GOES_ON, 0,
	 0},
	{"3.1.1", "all features, on a running device", change_when_running, UINT64_MAX, GOES_ON, 0,
	 0},
	{"2.1", "each status after a reset", each_status, 0, ANYTHING, BARE | ONCE, 0},
	{"2.1", "one status after the other", all_statuses, 0, ANYTHING, BARE, 0},
	{"2.1", "one status after the other, downwards", all_statuses, 1, ANYTHING, BARE, 0},
	{"2.1.1", "bits of the status are cleared", clear_bits, 0, GOES_ON, 0, 0},
	{"2.1.1", "all bits of the status, on a running device", status_when_running, ALL_BUT_RESET,
	 ANYTHING, 0, 0},
	{"2.1.1", "the driver sets DEVICE_NEEDS_RESET", status_when_running, VIRTIO_NEEDS_RESET,
	 GOES_ON, 0, 0},
	{"2.1.1", "FAILED, on a running device", status_when_running, VIRTIO_FAILED, ANYTHING, 0,
	 0},
	{"3.1.1", "DRIVER_OK comes first", driver_ok_first, 0, ANYTHING, BARE, 0},
	{"3.1.1", "DRIVER_OK again and again", driver_ok_again, 200, GOES_ON, 0, 0},
	{"3.1.1", "queues are set up before features", queues_before_features, 0, ANYTHING, BARE,
	 0},
	{"3.1.1", "a queue that isn't there with these features", queue_that_goes_away, 0, ANYTHING,
	 BARE, 0},
	{"3.1.1", "a control queue that is set up before its feature", queue_that_goes_away,
	 FEATURE(VIRTIO_NET_F_CTRL_VQ), ANYTHING, BARE, 0},
	{"3.1.1", "DRIVER_OK without queues", no_queues, 0, ANYTHING, BARE, 0},
	{"2.4", "30 resets of a running device", reset_storm, 30, ANYTHING, BARE, 0},
};

const struct trick_group features_tricks = TRICK_GROUP(tricks);
