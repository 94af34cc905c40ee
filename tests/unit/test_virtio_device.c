/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/device.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/fd.h"

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)
#define PACKED	  (1ULL << VIRTIO_F_RING_PACKED)

enum {
	ACKNOWLEDGE = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	DRIVER = VIRTIO_CONFIG_S_DRIVER,
	DRIVER_OK = VIRTIO_CONFIG_S_DRIVER_OK,
	FEATURES_OK = VIRTIO_CONFIG_S_FEATURES_OK,
	NEEDS_RESET = VIRTIO_CONFIG_S_NEEDS_RESET,
	FAILED = VIRTIO_CONFIG_S_FAILED,
	RUNNING = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
	QUEUES = 3,
};

/* --- a device that writes down what it is told --- */

static struct virtio_device dev;
static char calls[256]; /* "s" start, "+0" start_queue, "-0" stop_queue, "d" destroy */
static int start_result, start_queue_result;
static bool valid;
static uint64_t validated;
static struct ring_state started_with[QUEUES];
static char messages[1024];

static void call(const char *what, unsigned int index)
{
	size_t n = strlen(calls);

	snprintf(calls + n, sizeof(calls) - n, what, index);
}

static bool validate(const struct virtio_device *d, uint64_t features)
{
	ck_assert_ptr_eq(d, &dev);
	validated = features;
	return valid;
}

static int start(struct virtio_device *d)
{
	/* The driver's choice is final by now. */
	ck_assert(d->status & DRIVER_OK);
	call("s", 0);
	return start_result;
}

static int start_queue(struct virtio_device *d, unsigned int index)
{
	call("+%u", index);
	started_with[index] = d->queues[index].ring;
	return start_queue_result;
}

static void stop_queue(struct virtio_device *d, unsigned int index)
{
	call("-%u", index);
	d->queues[index].ring.next_avail = 77;
	d->queues[index].ring.next_used = 76;
}

static void read_config(struct virtio_device *d, size_t offset, void *data, size_t len)
{
	static const char config[] = "abcdefghij";

	(void)d;
	ck_assert_uint_le(offset + len, 10);
	memcpy(data, config + offset, len);
}

static void destroy(struct virtio_device *d)
{
	ck_assert_ptr_eq(d, &dev);
	call("d", 0);
}

static const struct virtio_device_ops ops = {
	.validate_features = validate,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.read_config = read_config,
	.config_size = 10,
	.destroy = destroy,
};

static void log_message(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	ck_assert_int_eq(level, LOG_LEVEL_WARNING);
	strcat(messages, text);
	strcat(messages, "\n");
}

static const struct logger logger = {log_message, NULL};

static void setup(void)
{
	calls[0] = messages[0] = '\0';
	start_result = start_queue_result = 0;
	valid = true;
	dev = (struct virtio_device){
		.ops = &ops,
		.id = 42,
		.name = "net0",
		.log = &logger,
		.offered = VERSION_1 | PACKED | 0xf0,
	};
	ck_assert_int_eq(virtio_device_init(&dev, QUEUES, 64), 0);
}

static void teardown(void)
{
	virtio_device_destroy(&dev);
	ck_assert(strchr(calls, 'd'));
}

static uint8_t set_status(unsigned int status)
{
	virtio_device_set_status(&dev, (uint8_t)status);
	return dev.status;
}

static void accept_bits(uint64_t features)
{
	virtio_device_accept_features(&dev, 0, (uint32_t)features);
	virtio_device_accept_features(&dev, 1, (uint32_t)(features >> 32));
}

static void run(void)
{
	accept_bits(VERSION_1);
	ck_assert_uint_eq(set_status(RUNNING), RUNNING);
}

static bool told(void)
{
	return fd_eventfd_drain(dev.config_call_fd) != 0;
}

START_TEST(initial_state)
{
	ck_assert_uint_eq(dev.status, 0);
	ck_assert_uint_eq(dev.accepted, 0);
	ck_assert_uint_eq(dev.n_queues, QUEUES);
	for (unsigned int i = 0; i < QUEUES; i++) {
		ck_assert_uint_eq(dev.queues[i].size_max, 64);
		ck_assert(!dev.queues[i].ready);
		ck_assert_int_ge(dev.queues[i].kick_fd, 0);
		ck_assert_int_ge(dev.queues[i].call_fd, 0);
	}
	ck_assert_uint_eq(virtio_device_features(&dev, 0), 0xf0);
	ck_assert_uint_eq(virtio_device_features(&dev, 1), 5);
	ck_assert_uint_eq(virtio_device_features(&dev, 2), 0);
	ck_assert_uint_eq(virtio_device_features(&dev, UINT32_MAX), 0);
}
END_TEST

/* --- status --- */

START_TEST(usual_order)
{
	ck_assert_uint_eq(set_status(0), 0);
	ck_assert_uint_eq(set_status(ACKNOWLEDGE), ACKNOWLEDGE);
	ck_assert_uint_eq(set_status(ACKNOWLEDGE | DRIVER), ACKNOWLEDGE | DRIVER);
	accept_bits(VERSION_1 | 0x30);
	ck_assert_uint_eq(set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK),
			  ACKNOWLEDGE | DRIVER | FEATURES_OK);
	ck_assert_uint_eq(validated, VERSION_1 | 0x30);
	virtio_device_set_queue_ready(&dev, 0, true);
	virtio_device_set_queue_ready(&dev, 2, true);
	ck_assert_str_eq(calls, "");
	ck_assert_uint_eq(set_status(RUNNING), RUNNING);
	ck_assert_str_eq(calls, "s+0+2");
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x30);
	/* Again: nothing happens. */
	ck_assert_uint_eq(set_status(RUNNING), RUNNING);
	ck_assert_str_eq(calls, "s+0+2");
}
END_TEST

START_TEST(bits_are_never_cleared)
{
	/* 2.1.1: the driver must not do that. */
	set_status(ACKNOWLEDGE | DRIVER);
	ck_assert_uint_eq(set_status(FAILED), ACKNOWLEDGE | DRIVER | FAILED);
	ck_assert_uint_eq(set_status(0), 0);
}
END_TEST

START_TEST(needs_reset_is_ours)
{
	ck_assert_uint_eq(set_status(ACKNOWLEDGE | NEEDS_RESET), ACKNOWLEDGE);
}
END_TEST

START_TEST(driver_ok_needs_features_ok)
{
	accept_bits(VERSION_1);
	ck_assert_uint_eq(set_status(ACKNOWLEDGE | DRIVER | DRIVER_OK), ACKNOWLEDGE | DRIVER);
	ck_assert_str_eq(calls, "");
	ck_assert_uint_eq(set_status(RUNNING), RUNNING);
	ck_assert_str_eq(calls, "s");
}
END_TEST

static const struct {
	uint64_t features;
	bool valid, ok;
} choices[] = {
	{VERSION_1, true, true},
	{VERSION_1 | 0xf0, true, true},
	{VERSION_1 | 0x10, false, false},      /* one needs another */
	{VERSION_1 | 0x100, true, false},      /* not offered */
	{VERSION_1 | 1ULL << 63, true, false}, /* not offered */
	{0xf0, true, false},		       /* a legacy driver */
	{0, true, false},
};

START_TEST(feature_choice)
{
	uint8_t before = ACKNOWLEDGE | DRIVER;

	valid = choices[_i].valid;
	set_status(before);
	accept_bits(choices[_i].features);
	ck_assert_uint_eq(set_status(before | FEATURES_OK),
			  choices[_i].ok ? before | FEATURES_OK : before);
	if (choices[_i].ok)
		return;
	ck_assert_uint_eq(set_status(RUNNING), before);
	ck_assert_str_eq(calls, "");
	/* 2.2.2: after a reset a valid set is as good as ever. */
	valid = true;
	set_status(0);
	run();
}
END_TEST

START_TEST(features_are_fixed)
{
	accept_bits(VERSION_1 | 0x10);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	accept_bits(VERSION_1 | 0x20);
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x10);
	set_status(0);
	ck_assert_uint_eq(dev.accepted, 0);
	accept_bits(VERSION_1 | 0x20);
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x20);
}
END_TEST

START_TEST(feature_words)
{
	virtio_device_accept_features(&dev, 0, 0xffffffff);
	virtio_device_accept_features(&dev, 1, 0x80000001);
	ck_assert_uint_eq(dev.accepted, 0x80000001ffffffff);
	virtio_device_accept_features(&dev, 0, 0x12);
	ck_assert_uint_eq(dev.accepted, 0x8000000100000012);
	virtio_device_accept_features(&dev, 2, 0xff);
	virtio_device_accept_features(&dev, UINT32_MAX, 0xff);
	ck_assert_uint_eq(dev.accepted, 0x8000000100000012);
}
END_TEST

/* --- reset --- */

/* 2.4.1, at each stage that a driver can have come to. */
START_TEST(reset)
{
	static const uint8_t stages[] = {ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, FAILED};
	uint8_t status = 0;

	accept_bits(VERSION_1 | 0x10);
	dev.queues[0].ring = (struct ring_state){.size = 8, .desc = {0x1000}};
	virtio_device_set_queue_ready(&dev, 0, true);
	for (int i = 0; i <= _i; i++)
		set_status(status |= stages[i]);
	ck_assert_uint_eq(dev.status, status);
	dev.interrupt_status = 3;
	fd_eventfd_signal(dev.queues[0].kick_fd);
	ck_assert_uint_eq(set_status(0), 0);
	ck_assert_str_eq(calls, status & DRIVER_OK ? "s+0-0" : "");
	ck_assert_uint_eq(dev.accepted, 0);
	ck_assert_uint_eq(dev.interrupt_status, 0);
	ck_assert(!dev.queues[0].ready);
	ck_assert(!dev.queues[0].running);
	ck_assert_uint_eq(dev.queues[0].ring.size, 0);
	ck_assert_uint_eq(dev.queues[0].ring.desc.value, 0);
	ck_assert_uint_eq(dev.queues[0].ring.next_avail, 0);
	ck_assert_uint_eq(dev.queues[0].ring.next_used, 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 0);
	/* And again from the beginning. */
	calls[0] = '\0';
	virtio_device_set_queue_ready(&dev, 1, true);
	run();
	ck_assert_str_eq(calls, "s+1");
}
END_TEST

START_TEST(destroy_stops_queues)
{
	struct virtio_device *none = NULL;

	virtio_device_set_queue_ready(&dev, 1, true);
	run();
	calls[0] = '\0';
	virtio_device_destroy(&dev);
	ck_assert_str_eq(calls, "-1d");
	virtio_device_destroy(none);
	ck_assert_int_eq(virtio_device_init(&dev, QUEUES, 64), 0);
}
END_TEST

/* --- queues --- */

START_TEST(queue_enabled_while_running)
{
	run();
	ck_assert_str_eq(calls, "s");
	dev.queues[2].ring = (struct ring_state){.size = 16};
	virtio_device_set_queue_ready(&dev, 2, true);
	ck_assert_str_eq(calls, "s+2");
	ck_assert_uint_eq(started_with[2].size, 16);
	virtio_device_set_queue_ready(&dev, 2, true);
	ck_assert_str_eq(calls, "s+2");
	virtio_device_set_queue_ready(&dev, 2, false);
	ck_assert_str_eq(calls, "s+2-2");
	virtio_device_set_queue_ready(&dev, 2, false);
	ck_assert_str_eq(calls, "s+2-2");
	/* The ring that is enabled next is a new one. */
	virtio_device_set_queue_ready(&dev, 2, true);
	ck_assert_uint_eq(started_with[2].next_avail, 0);
	ck_assert_uint_eq(started_with[2].next_used, 0);
}
END_TEST

/* 2.8.1: the wrap counters of a new packed ring are 1. */
START_TEST(queue_of_a_packed_ring)
{
	accept_bits(VERSION_1 | PACKED);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	virtio_device_set_queue_ready(&dev, 1, true);
	set_status(RUNNING);
	ck_assert_uint_eq(started_with[1].next_avail, 0x8000);
	ck_assert_uint_eq(started_with[1].next_used, 0x8000);
	virtio_device_reset_queue(&dev, 1);
	virtio_device_set_queue_ready(&dev, 1, true);
	ck_assert_str_eq(calls, "s+1-1+1");
	ck_assert_uint_eq(started_with[1].next_avail, 0x8000);
	ck_assert_uint_eq(started_with[1].next_used, 0x8000);
	/* What comes after a reset may be split. */
	set_status(0);
	virtio_device_set_queue_ready(&dev, 1, true);
	run();
	ck_assert_uint_eq(started_with[1].next_avail, 0);
	ck_assert_uint_eq(started_with[1].next_used, 0);
}
END_TEST

/* 2.6.1: it stops and is as new; the others don't notice. */
START_TEST(queue_reset)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		dev.queues[i].ring = (struct ring_state){8, {0x1000}, {0x2000}, {0x3000}, 0, 0};
		virtio_device_set_queue_ready(&dev, i, true);
	}
	run();
	for (unsigned int i = 0; i < QUEUES; i++)
		fd_eventfd_signal(dev.queues[i].kick_fd);
	virtio_device_reset_queue(&dev, 1);
	ck_assert_str_eq(calls, "s+0+1+2-1");
	ck_assert(!dev.queues[1].ready && !dev.queues[1].running);
	ck_assert_uint_eq(dev.queues[1].ring.size, 0);
	ck_assert_uint_eq(dev.queues[1].ring.desc.value, 0);
	ck_assert_uint_eq(dev.queues[1].ring.driver.value, 0);
	ck_assert_uint_eq(dev.queues[1].ring.device.value, 0);
	ck_assert_uint_eq(dev.queues[1].ring.next_avail, 0);
	/* A kick from before is gone. */
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[1].kick_fd), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 1);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[2].kick_fd), 1);
	ck_assert(dev.queues[0].running && dev.queues[2].running);
	ck_assert_uint_eq(dev.status, RUNNING);
	/* Once more: nothing to stop. */
	virtio_device_reset_queue(&dev, 1);
	ck_assert_str_eq(calls, "s+0+1+2-1");
	/* 2.6.1.2: enabled again, perhaps otherwise. */
	dev.queues[1].ring = (struct ring_state){4, {0x5000}, {0x6000}, {0x7000}, 0, 0};
	virtio_device_set_queue_ready(&dev, 1, true);
	ck_assert_str_eq(calls, "s+0+1+2-1+1");
	ck_assert_uint_eq(started_with[1].size, 4);
	ck_assert_uint_eq(started_with[1].desc.value, 0x5000);
	ck_assert_uint_eq(started_with[1].next_avail, 0);
	ck_assert_uint_eq(started_with[1].next_used, 0);
}
END_TEST

START_TEST(queue_reset_before_it_ran)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	virtio_device_reset_queue(&dev, 0);
	run();
	ck_assert_str_eq(calls, "s");
}
END_TEST

START_TEST(suspend)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	virtio_device_set_queue_ready(&dev, 2, true);
	run();
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0+2-0-2");
	ck_assert(dev.queues[0].ready && !dev.queues[0].running);
	ck_assert_uint_eq(dev.accepted, VERSION_1);
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	/* The driver need not know of it, and can't get round it. */
	ck_assert_uint_eq(dev.status, RUNNING);
	ck_assert_uint_eq(set_status(RUNNING), RUNNING);
	ck_assert_str_eq(calls, "s+0+2-0-2");
	/* Where they stopped they go on. */
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0+2-0-2+0+2");
	ck_assert_uint_eq(started_with[0].next_avail, 77);
	ck_assert_uint_eq(started_with[0].next_used, 76);
	ck_assert_uint_eq(started_with[2].next_avail, 77);
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0+2-0-2+0+2");
	/* A reset needs no resume before it, nor is it one. */
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_uint_eq(set_status(0), 0);
	ck_assert_str_eq(calls, "s+0+2-0-2+0+2-0-2");
	virtio_device_set_queue_ready(&dev, 1, true);
	run();
	ck_assert_str_eq(calls, "s+0+2-0-2+0+2-0-2");
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0+2-0-2+0+2-0-2s+1");
}
END_TEST

/* As long as there is a reason, whichever. */
START_TEST(suspended_for_two_reasons)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	run();
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_PAUSE);
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0-0");
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	virtio_device_resume(&dev, VIRTIO_SUSPEND_PAUSE);
	ck_assert_str_eq(calls, "s+0-0");
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0-0+0");
	ck_assert_uint_eq(started_with[0].next_avail, 77);
}
END_TEST

/* DRIVER_OK while the memory is away: the device starts as soon as it is there. */
START_TEST(suspend_before_it_runs)
{
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	set_status(ACKNOWLEDGE | DRIVER);
	virtio_device_set_queue_ready(&dev, 1, true);
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "");
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	run();
	ck_assert_str_eq(calls, "");
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+1");
}
END_TEST

/* A queue that is enabled while the memory is away starts when it is back. */
START_TEST(queue_enabled_while_suspended)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	run();
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	virtio_device_set_queue_ready(&dev, 1, true);
	virtio_device_reset_queue(&dev, 0);
	ck_assert_str_eq(calls, "s+0-0");
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0-0+1");
	ck_assert_uint_eq(started_with[1].next_avail, 0);
}
END_TEST

START_TEST(broken_while_suspended)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	run();
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	virtio_device_break(&dev, "why");
	ck_assert(told());
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s+0-0");
	ck_assert_uint_eq(dev.status, RUNNING | NEEDS_RESET);
}
END_TEST

START_TEST(start_fails_late)
{
	start_result = -EBADFD;
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	virtio_device_set_queue_ready(&dev, 0, true);
	run();
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s");
	ck_assert_uint_eq(dev.status, RUNNING | NEEDS_RESET);
	virtio_device_suspend(&dev, VIRTIO_SUSPEND_MEMORY);
	virtio_device_resume(&dev, VIRTIO_SUSPEND_MEMORY);
	ck_assert_str_eq(calls, "s");
}
END_TEST

START_TEST(queue_disabled_before_it_ran)
{
	virtio_device_set_queue_ready(&dev, 0, true);
	virtio_device_set_queue_ready(&dev, 0, false);
	run();
	ck_assert_str_eq(calls, "s");
}
END_TEST

/* --- errors --- */

START_TEST(needs_reset)
{
	uint32_t generation;

	run();
	generation = dev.config_generation;
	virtio_device_break(&dev, "a loop");
	ck_assert_uint_eq(dev.status, RUNNING | NEEDS_RESET);
	/* 2.1.2: the driver is told. */
	ck_assert_uint_eq(dev.interrupt_status, VIRTIO_MMIO_INT_CONFIG);
	ck_assert(told());
	ck_assert_uint_ne(dev.config_generation, generation);
	ck_assert_str_eq(messages, "net0: the device stops until the guest resets it: a loop\n");
	/* Once. */
	dev.interrupt_status = 0;
	virtio_device_break(&dev, "another loop");
	ck_assert(!told());
	ck_assert_uint_eq(dev.interrupt_status, 0);
	ck_assert_ptr_null(strstr(messages, "another"));
	/* The driver's writes don't heal it, a reset does. */
	ck_assert_uint_eq(set_status(RUNNING), RUNNING | NEEDS_RESET);
	ck_assert_uint_eq(set_status(0), 0);
	run();
	virtio_device_break(&dev, "a third");
	ck_assert(told());
	ck_assert_ptr_null(strstr(messages, "third"));
}
END_TEST

START_TEST(broken_before_it_runs)
{
	set_status(ACKNOWLEDGE | DRIVER);
	virtio_device_break(&dev, "why");
	ck_assert_uint_eq(dev.status, ACKNOWLEDGE | DRIVER | NEEDS_RESET);
	ck_assert(!told());
	/* 2.1.2: it does nothing before it is reset. */
	accept_bits(VERSION_1);
	ck_assert_uint_eq(set_status(RUNNING), RUNNING | NEEDS_RESET);
	ck_assert_str_eq(calls, "");
}
END_TEST

START_TEST(start_fails)
{
	start_result = -EBADFD;
	virtio_device_set_queue_ready(&dev, 0, true);
	accept_bits(VERSION_1);
	ck_assert_uint_eq(set_status(RUNNING), RUNNING | NEEDS_RESET);
	ck_assert_str_eq(calls, "s");
	ck_assert(told());
	ck_assert_ptr_nonnull(strstr(messages, strerror(EBADFD)));
	/* No queue starts later on either. */
	virtio_device_set_queue_ready(&dev, 1, true);
	ck_assert_str_eq(calls, "s");
}
END_TEST

START_TEST(start_queue_fails)
{
	start_queue_result = -ENOMEM;
	virtio_device_set_queue_ready(&dev, 0, true);
	accept_bits(VERSION_1);
	ck_assert_uint_eq(set_status(RUNNING), RUNNING | NEEDS_RESET);
	ck_assert(!dev.queues[0].running);
	ck_assert(told());
	/* What didn't start isn't stopped. */
	set_status(0);
	ck_assert_str_eq(calls, "s+0");
}
END_TEST

static void *break_often(void *opaque)
{
	for (int i = 0; i < 20000; i++)
		virtio_device_break(&dev, opaque);
	return NULL;
}

/* Two rings break while the driver reads, resets and starts anew. */
START_TEST(broken_by_other_threads)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, break_often, "x"), 0);
	for (int i = 0; i < 2000; i++) {
		calls[0] = '\0';
		set_status(0);
		accept_bits(VERSION_1);
		ck_assert_uint_eq(set_status(RUNNING) & RUNNING, RUNNING);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_str_eq(messages, "net0: the device stops until the guest resets it: x\n");
}
END_TEST

/* --- configuration space --- */

START_TEST(config)
{
	char data[9] = {0};

	virtio_device_read_config(&dev, 0, data, 8);
	ck_assert_str_eq(data, "abcdefgh");
	virtio_device_read_config(&dev, 9, data, 1);
	ck_assert_int_eq(data[0], 'j');
	/* Over the end: the part that is there, and zeroes. */
	memset(data, 0xff, sizeof(data));
	virtio_device_read_config(&dev, 8, data, 8);
	ck_assert_mem_eq(data, "ij\0\0\0\0\0\0\xff", 9);
	memset(data, 0xff, sizeof(data));
	virtio_device_read_config(&dev, 10, data, 4);
	ck_assert_mem_eq(data, "\0\0\0\0\xff", 5);
	virtio_device_read_config(&dev, UINT64_MAX, data, 8);
	virtio_device_read_config(&dev, UINT64_MAX - 7, data, 8);
	ck_assert_mem_eq(data, "\0\0\0\0\0\0\0\0\xff", 9);
}
END_TEST

START_TEST(config_changes)
{
	uint32_t generation = dev.config_generation;

	dev.interrupt_status = VIRTIO_MMIO_INT_VRING;
	virtio_device_config_changed(&dev);
	ck_assert_uint_ne(dev.config_generation, generation);
	ck_assert_uint_eq(dev.interrupt_status, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(fd_eventfd_drain(dev.config_call_fd), 1);
	generation = dev.config_generation;
	virtio_device_config_changed(&dev);
	ck_assert_uint_ne(dev.config_generation, generation);
	ck_assert(told());
	/* A reset changes nothing of it. */
	generation = dev.config_generation;
	set_status(0);
	ck_assert_uint_eq(dev.config_generation, generation);
	ck_assert_uint_eq(dev.interrupt_status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_device");
	TCase *tc = tcase_create("virtio device");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, initial_state);
	tcase_add_test(tc, usual_order);
	tcase_add_test(tc, bits_are_never_cleared);
	tcase_add_test(tc, needs_reset_is_ours);
	tcase_add_test(tc, driver_ok_needs_features_ok);
	tcase_add_loop_test(tc, feature_choice, 0, sizeof(choices) / sizeof(choices[0]));
	tcase_add_test(tc, features_are_fixed);
	tcase_add_test(tc, feature_words);
	tcase_add_loop_test(tc, reset, 0, 5);
	tcase_add_test(tc, destroy_stops_queues);
	tcase_add_test(tc, queue_enabled_while_running);
	tcase_add_test(tc, queue_disabled_before_it_ran);
	tcase_add_test(tc, queue_of_a_packed_ring);
	tcase_add_test(tc, queue_reset);
	tcase_add_test(tc, queue_reset_before_it_ran);
	tcase_add_test(tc, suspend);
	tcase_add_test(tc, suspended_for_two_reasons);
	tcase_add_test(tc, suspend_before_it_runs);
	tcase_add_test(tc, queue_enabled_while_suspended);
	tcase_add_test(tc, broken_while_suspended);
	tcase_add_test(tc, start_fails_late);
	tcase_add_test(tc, needs_reset);
	tcase_add_test(tc, broken_before_it_runs);
	tcase_add_test(tc, start_fails);
	tcase_add_test(tc, start_queue_fails);
	tcase_add_test(tc, broken_by_other_threads);
	tcase_add_test(tc, config);
	tcase_add_test(tc, config_changes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
