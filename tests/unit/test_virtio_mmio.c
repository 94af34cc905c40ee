/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of virtio-mmio as a driver sees them (virtio 1.3, section 4.2). */
#include "virtio/mmio.h"

#include <check.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/device.h"
#include "vmm/core/fd.h"

#define VERSION_1	  (1ULL << VIRTIO_F_VERSION_1)
#define NOTIFICATION_DATA (1ULL << 38)
#define RING_RESET	  (1ULL << VIRTIO_F_RING_RESET)

enum {
	QUEUES = 2,
	SIZE_MAX_OFFERED = 256,
	CONFIG_SIZE = 14, /* the last two bytes change */
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
};

static struct virtio_device dev;
static struct virtio_mmio *mmio;
static struct ring_state started_with[QUEUES];
static unsigned int started, stopped, destroyed;

static bool validate(const struct virtio_device *d, uint64_t features)
{
	(void)d;
	(void)features;
	return true;
}

static int start(struct virtio_device *d)
{
	(void)d;
	return 0;
}

static int start_queue(struct virtio_device *d, unsigned int index)
{
	started_with[index] = d->queues[index].ring;
	started++;
	return 0;
}

static void stop_queue(struct virtio_device *d, unsigned int index)
{
	(void)d;
	(void)index;
	stopped++;
}

static char changing[2] = {'a', 'a'};

static void read_config(struct virtio_device *d, size_t offset, void *data, size_t len)
{
	char config[CONFIG_SIZE + 1];

	(void)d;
	snprintf(config, sizeof(config), "0123456789ab%c%c", changing[0], changing[1]);
	memcpy(data, config + offset, len);
}

static void destroy(struct virtio_device *d)
{
	(void)d;
	destroyed++;
}

static const struct virtio_device_ops ops = {
	.validate_features = validate,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.read_config = read_config,
	.config_size = CONFIG_SIZE,
	.destroy = destroy,
};

static void setup(void)
{
	started = stopped = destroyed = 0;
	dev = (struct virtio_device){
		.ops = &ops,
		.id = 1,
		.name = "net0",
		.offered = VERSION_1 | NOTIFICATION_DATA | RING_RESET | 0x0123456789ULL << 4,
	};
	ck_assert_int_eq(virtio_device_init(&dev, QUEUES, SIZE_MAX_OFFERED), 0);
	ck_assert_int_eq(virtio_mmio_create(&dev, NULL, 0xd0000000, 5, &mmio, NULL), 0);
}

static void teardown(void)
{
	virtio_mmio_destroy(mmio);
	ck_assert_uint_eq(destroyed, 1);
	ck_assert_uint_eq(started, stopped);
}

static void read_bytes(uint64_t offset, void *data, unsigned int len)
{
	memset(data, 0xff, len); /* as the bus does */
	virtio_mmio_bus_ops.read(mmio, offset, data, len);
}

static uint32_t get(uint64_t offset)
{
	uint8_t data[4];

	read_bytes(offset, data, 4);
	return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static void set(uint64_t offset, uint32_t value)
{
	const uint8_t data[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				 (uint8_t)(value >> 24)};

	virtio_mmio_bus_ops.write(mmio, offset, data, 4);
}

START_TEST(identity)
{
	ck_assert_uint_eq(get(0x000), 0x74726976);
	ck_assert_uint_eq(get(0x004), 2);
	ck_assert_uint_eq(get(0x008), 1);
	ck_assert_uint_ne(get(0x00c), 0);
	/* 4.2.2: read-only. */
	for (uint64_t offset = 0; offset < 0x10; offset += 4)
		set(offset, 0);
	ck_assert_uint_eq(get(0x000), 0x74726976);
	ck_assert_uint_eq(get(0x008), 1);
}
END_TEST

START_TEST(device_features)
{
	set(0x014, 0);
	ck_assert_uint_eq(get(0x010), (uint32_t)dev.offered);
	set(0x014, 1);
	ck_assert_uint_eq(get(0x010), (uint32_t)(dev.offered >> 32));
	set(0x014, 2);
	ck_assert_uint_eq(get(0x010), 0);
	set(0x014, 0xffffffff);
	ck_assert_uint_eq(get(0x010), 0);
}
END_TEST

static void negotiate_also(uint64_t features)
{
	set(0x070, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set(0x070, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	set(0x024, 1);
	set(0x020, (uint32_t)((VERSION_1 | features) >> 32));
	set(0x024, 0);
	set(0x020, 0x10 | (uint32_t)features);
	set(0x070, RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(get(0x070), RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
}

static void negotiate(void)
{
	negotiate_also(0);
}

START_TEST(driver_features)
{
	negotiate();
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x10);
	/* The two selectors are two. */
	set(0x014, 1);
	set(0x070, 0);
	set(0x024, 0);
	set(0x020, 0x12345678);
	ck_assert_uint_eq(dev.accepted, 0x12345678);
	ck_assert_uint_eq(get(0x010), (uint32_t)(dev.offered >> 32));
}
END_TEST

START_TEST(status)
{
	ck_assert_uint_eq(get(0x070), 0);
	set(0x070, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ck_assert_uint_eq(get(0x070), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set(0x070, 0);
	ck_assert_uint_eq(get(0x070), 0);
}
END_TEST

static void set_up_queue(uint32_t index)
{
	set(0x030, index);
	ck_assert_uint_eq(get(0x044), 0);
	ck_assert_uint_eq(get(0x034), SIZE_MAX_OFFERED);
	set(0x038, 128);
	set(0x080, 0x11111000);
	set(0x084, index);
	set(0x090, 0x22222000);
	set(0x094, 0x2);
	set(0x0a0, 0x33333000);
	set(0x0a4, 0x3);
	set(0x044, 1);
	ck_assert_uint_eq(get(0x044), 1);
}

START_TEST(queue)
{
	negotiate();
	set_up_queue(0);
	set_up_queue(1);
	ck_assert_uint_eq(started, 0);
	set(0x070, RUNNING);
	ck_assert_uint_eq(get(0x070), RUNNING);
	ck_assert_uint_eq(started, 2);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(started_with[i].size, 128);
		ck_assert_uint_eq(started_with[i].desc.value, (uint64_t)i << 32 | 0x11111000);
		ck_assert_uint_eq(started_with[i].driver.value, 0x222222000);
		ck_assert_uint_eq(started_with[i].device.value, 0x333333000);
		ck_assert_uint_eq(started_with[i].next_avail, 0);
		ck_assert_uint_eq(started_with[i].next_used, 0);
	}
	/* 4.2.2.2: to stop using the queue, write 0 and read it back. */
	set(0x030, 1);
	set(0x044, 0);
	ck_assert_uint_eq(get(0x044), 0);
	ck_assert_uint_eq(stopped, 1);
	/* 4.2.2.1: a reset clears all the ready bits. */
	set(0x070, 0);
	for (uint32_t i = 0; i < 2; i++) {
		set(0x030, i);
		ck_assert_uint_eq(get(0x044), 0);
	}
	ck_assert_uint_eq(stopped, 2);
}
END_TEST

/* 4.2.2.1 */
START_TEST(queue_reset)
{
	negotiate_also(RING_RESET);
	set_up_queue(0);
	set_up_queue(1);
	set(0x070, RUNNING);
	set(0x030, 0);
	ck_assert_uint_eq(get(0x0c0), 0);
	set(0x0c0, 0);
	set(0x0c0, 2);
	ck_assert_uint_eq(stopped, 0);
	set(0x0c0, 1);
	ck_assert_uint_eq(get(0x0c0), 0);
	ck_assert_uint_eq(get(0x044), 0);
	ck_assert_uint_eq(stopped, 1);
	ck_assert_uint_eq(get(0x034), SIZE_MAX_OFFERED);
	ck_assert_uint_eq(get(0x070), RUNNING);
	set(0x030, 1);
	ck_assert_uint_eq(get(0x044), 1);
	/* 2.6.1.2: the same, or another one. */
	set(0x030, 0);
	set(0x038, 16);
	set(0x080, 0x44444000);
	set(0x084, 4);
	set(0x090, 0x55555000);
	set(0x0a0, 0x66666000);
	set(0x044, 1);
	ck_assert_uint_eq(get(0x044), 1);
	ck_assert_uint_eq(get(0x0c0), 0);
	ck_assert_uint_eq(started, 3);
	ck_assert_uint_eq(started_with[0].size, 16);
	ck_assert_uint_eq(started_with[0].desc.value, 0x444444000);
	ck_assert_uint_eq(started_with[0].driver.value, 0x55555000);
	ck_assert_uint_eq(started_with[0].device.value, 0x66666000);
	ck_assert_uint_eq(started_with[0].next_avail, 0);
}
END_TEST

START_TEST(queue_reset_not_negotiated)
{
	negotiate();
	set_up_queue(0);
	set(0x070, RUNNING);
	set(0x0c0, 1);
	ck_assert_uint_eq(get(0x0c0), 0);
	ck_assert_uint_eq(get(0x044), 1);
	ck_assert_uint_eq(stopped, 0);
}
END_TEST

START_TEST(queue_is_fixed_while_ready)
{
	static const uint64_t registers[] = {0x038, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4};

	set_up_queue(0);
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		set(registers[i], 64);
	ck_assert_uint_eq(dev.queues[0].ring.size, 128);
	ck_assert_uint_eq(dev.queues[0].ring.desc.value, 0x11111000);
	ck_assert_uint_eq(dev.queues[0].ring.driver.value, 0x222222000);
	ck_assert_uint_eq(dev.queues[0].ring.device.value, 0x333333000);
	set(0x044, 0);
	set(0x038, 64);
	ck_assert_uint_eq(dev.queues[0].ring.size, 64);
}
END_TEST

START_TEST(queue_size)
{
	set(0x030, 0);
	set(0x038, SIZE_MAX_OFFERED);
	ck_assert_uint_eq(dev.queues[0].ring.size, SIZE_MAX_OFFERED);
	set(0x038, SIZE_MAX_OFFERED + 1);
	set(0x038, 0x10000 + 64);
	set(0x038, 0xffffffff);
	ck_assert_uint_eq(dev.queues[0].ring.size, SIZE_MAX_OFFERED);
}
END_TEST

START_TEST(no_such_queue)
{
	static const uint32_t indices[] = {QUEUES, 0x10000, 0xffffffff};

	negotiate();
	set(0x070, RUNNING);
	set(0x030, indices[_i]);
	ck_assert_uint_eq(get(0x034), 0); /* 4.2.2: not available */
	ck_assert_uint_eq(get(0x044), 0);
	for (uint64_t offset = 0x038; offset < 0x100; offset += 4) {
		if (offset != 0x070)
			set(offset, 1);
	}
	ck_assert_uint_eq(get(0x044), 0);
	ck_assert_uint_eq(started, 0);
	set(0x050, indices[_i]);
}
END_TEST

START_TEST(notify)
{
	for (int i = 0; i < 2; i++)
		fd_eventfd_drain(dev.queues[i].kick_fd);
	set(0x050, 1);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[1].kick_fd), 1);
	/* QueueSel has no say in it. */
	set(0x030, 1);
	set(0x050, 0);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 1);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[1].kick_fd), 0);
}
END_TEST

/* 2.9, 4.2.3.3: the upper half says where the ring stands. */
START_TEST(notify_with_data)
{
	negotiate_also(NOTIFICATION_DATA);
	set(0x050, 0x80000000);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 1);
	set(0x050, 0xffff0001);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[1].kick_fd), 1);
	set(0x050, 0x00010000 | QUEUES);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(fd_eventfd_drain(dev.queues[i].kick_fd), 0);
}
END_TEST

START_TEST(notify_without_data)
{
	negotiate();
	set(0x050, 0x80000000);
	set(0x050, 0x00010001);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(fd_eventfd_drain(dev.queues[i].kick_fd), 0);
}
END_TEST

START_TEST(interrupt)
{
	ck_assert_uint_eq(get(0x060), 0);
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(0x060), 1);
	ck_assert_uint_eq(get(0x060), 1); /* reading acknowledges nothing */
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_MMIO_INT_CONFIG);
	set(0x064, 1);
	ck_assert_uint_eq(get(0x060), 2);
	set(0x060, 0); /* read-only */
	ck_assert_uint_eq(get(0x060), 2);
	set(0x064, 0xfffffffd);
	ck_assert_uint_eq(get(0x060), 2);
	set(0x064, 2);
	ck_assert_uint_eq(get(0x060), 0);
	atomic_fetch_or(&dev.interrupt_status, 3);
	set(0x070, 0);
	ck_assert_uint_eq(get(0x060), 0); /* 4.2.2.1 */
}
END_TEST

/*
 * An acknowledgement is for what the driver was shown: KVM may bring it late, when the same thing
 * has happened again.
 */
START_TEST(late_acknowledgement)
{
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_VRING);
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	set(0x064, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	set(0x064, VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_VRING);
	set(0x064, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(0x060), 0);
	/* What was shown and not acknowledged ends with a reset, like the rest. */
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_VRING);
	set(0x070, 0);
	ck_assert_uint_eq(get(0x060), 0);
}
END_TEST

/* Edges of several irqfds on one line can swallow each other. */
START_TEST(all_interrupts_are_one)
{
	for (unsigned int i = 0; i < dev.n_queues; i++) {
		fd_eventfd_signal(dev.queues[i].call_fd);
		ck_assert_uint_eq(fd_eventfd_drain(dev.config_call_fd), 1);
	}
}
END_TEST

START_TEST(config_generation)
{
	uint32_t generation = get(0x0fc);

	ck_assert_uint_eq(get(0x0fc), generation);
	negotiate();
	set(0x070, RUNNING);
	ck_assert_uint_eq(get(0x0fc), generation);
	virtio_device_config_changed(&dev);
	ck_assert_uint_ne(get(0x0fc), generation);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(fd_eventfd_drain(dev.config_call_fd), 1);
	generation = get(0x0fc);
	set(0x0fc, generation + 1); /* read-only */
	ck_assert_uint_eq(get(0x0fc), generation);
}
END_TEST

static void *change_config(void *opaque)
{
	const atomic_bool *done = opaque;

	for (char c = 'b'; !atomic_load(done); c = c == 'z' ? 'a' : (char)(c + 1)) {
		pthread_mutex_lock(&dev.lock);
		changing[0] = c;
		sched_yield();
		changing[1] = c;
		virtio_device_config_changed(&dev);
		pthread_mutex_unlock(&dev.lock);
		sched_yield();
	}
	return NULL;
}

/* 2.5.1: what lies between two equal generations belongs together. */
START_TEST(config_changes_while_it_is_read)
{
	atomic_bool done = false;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, change_config, &done), 0);
	for (int n = 0; n < 20000;) {
		uint32_t before = get(0x0fc);
		char data[2];

		read_bytes(0x100 + 12, data, 1);
		read_bytes(0x100 + 13, data + 1, 1);
		if (get(0x0fc) != before)
			continue;
		ck_assert_int_eq(data[0], data[1]);
		n++;
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(needs_reset)
{
	uint32_t generation = get(0x0fc);

	negotiate();
	set(0x070, RUNNING);
	virtio_device_break(&dev, "why");
	ck_assert_uint_eq(fd_eventfd_drain(dev.config_call_fd), 1);
	ck_assert_uint_eq(get(0x060), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(get(0x070), RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_ne(get(0x0fc), generation);
}
END_TEST

/* 4.2.2: of shared memory regions there are none, whichever is selected. */
START_TEST(no_shared_memory)
{
	for (uint32_t id = 0; id < 3; id++) {
		set(0x0ac, id);
		for (uint64_t offset = 0x0b0; offset <= 0x0bc; offset += 4)
			ck_assert_uint_eq(get(offset), 0xffffffff);
	}
}
END_TEST

START_TEST(config_space)
{
	char data[8];

	for (uint64_t i = 0; i < 12; i++) {
		read_bytes(0x100 + i, data, 1);
		ck_assert_int_eq(data[0], "0123456789ab"[i]);
	}
	read_bytes(0x106, data, 2);
	ck_assert_mem_eq(data, "67", 2);
	read_bytes(0x108, data, 4);
	ck_assert_mem_eq(data, "89ab", 4);
	read_bytes(0x101, data, 8);
	ck_assert_mem_eq(data, "12345678", 8);
	read_bytes(0x108, data, 8);
	ck_assert_mem_eq(data, "89abaa\0\0", 8);
	read_bytes(0x10e, data, 4);
	ck_assert_mem_eq(data, "\0\0\0\0", 4);
	read_bytes(VIRTIO_MMIO_SIZE - 8, data, 8);
	ck_assert_mem_eq(data, "\0\0\0\0\0\0\0\0", 8);
	/* It can't be written. */
	set(0x100, 0);
	read_bytes(0x100, data, 4);
	ck_assert_mem_eq(data, "0123", 4);
}
END_TEST

/* 4.2.2.2: registers take aligned 32-bit accesses; what else comes does nothing. */
START_TEST(width_and_alignment)
{
	static const unsigned int widths[] = {1, 2, 4, 8};
	uint8_t data[8];

	negotiate();
	for (uint64_t offset = 0; offset < 0x100; offset++) {
		for (size_t i = 0; i < 4; i++) {
			if (widths[i] == 4 && offset % 4 == 0)
				continue;
			read_bytes(offset, data, widths[i]);
			for (unsigned int k = 0; k < widths[i]; k++)
				ck_assert_uint_eq(data[k], 0xff);
			memset(data, 0, sizeof(data));
			virtio_mmio_bus_ops.write(mmio, offset, data, widths[i]);
		}
	}
	ck_assert_uint_eq(get(0x070), RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x10);
	ck_assert_uint_eq(fd_eventfd_drain(dev.queues[0].kick_fd), 0);
}
END_TEST

START_TEST(reserved_registers)
{
	static const uint64_t defined[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x44,
					   0x60, 0x70, 0xb0, 0xb4, 0xb8, 0xbc, 0xfc};

	for (uint64_t offset = 0, i = 0; offset < 0x100; offset += 4) {
		if (i < sizeof(defined) / sizeof(defined[0]) && offset == defined[i])
			i++;
		else
			ck_assert_uint_eq(get(offset), 0);
	}
}
END_TEST

static void *access_all(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < 50000; i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % 0x110 / 4 * 4;

		if (rand_r(&seed) % 2)
			get(offset);
		else
			set(offset, (uint32_t)rand_r(&seed) % (rand_r(&seed) % 2 ? 3 : 256));
	}
	return NULL;
}

/* Several vCPUs at once, without any order. */
START_TEST(many_vcpus)
{
	pthread_t threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, access_all, (void *)i), 0);
	for (int i = 0; i < 2000; i++)
		virtio_device_break(&dev, "x");
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(destroy_nothing)
{
	virtio_mmio_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_mmio");
	TCase *tc = tcase_create("virtio-mmio");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, device_features);
	tcase_add_test(tc, driver_features);
	tcase_add_test(tc, status);
	tcase_add_test(tc, queue);
	tcase_add_test(tc, queue_reset);
	tcase_add_test(tc, queue_reset_not_negotiated);
	tcase_add_test(tc, queue_is_fixed_while_ready);
	tcase_add_test(tc, queue_size);
	tcase_add_loop_test(tc, no_such_queue, 0, 3);
	tcase_add_test(tc, notify);
	tcase_add_test(tc, notify_with_data);
	tcase_add_test(tc, notify_without_data);
	tcase_add_test(tc, interrupt);
	tcase_add_test(tc, late_acknowledgement);
	tcase_add_test(tc, all_interrupts_are_one);
	tcase_add_test(tc, config_generation);
	tcase_add_test(tc, config_changes_while_it_is_read);
	tcase_add_test(tc, needs_reset);
	tcase_add_test(tc, no_shared_memory);
	tcase_add_test(tc, config_space);
	tcase_add_test(tc, width_and_alignment);
	tcase_add_test(tc, reserved_registers);
	tcase_add_test(tc, many_vcpus);
	tcase_add_test(tc, destroy_nothing);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
