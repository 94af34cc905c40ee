/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/fd.h"
#include "vmm/core/timeline.h"

int virtio_device_init(struct virtio_device *dev, unsigned int n_queues, uint16_t size_max)
{
	pthread_mutex_init(&dev->lock, NULL);
	dev->config_call_fd = fd_eventfd();
	if (dev->config_call_fd < 0)
		return dev->config_call_fd;
	dev->queues = calloc(n_queues, sizeof(*dev->queues));
	if (!dev->queues)
		return -ENOMEM;
	dev->n_queues = n_queues;
	for (unsigned int i = 0; i < n_queues; i++)
		dev->queues[i] = (struct virtio_queue){
			.size_max = size_max,
			.kick_fd = -1,
			.call_fd = -1,
		};
	for (unsigned int i = 0; i < n_queues; i++) {
		struct virtio_queue *queue = &dev->queues[i];

		queue->kick_fd = fd_eventfd();
		queue->call_fd = fd_eventfd();
		if (queue->kick_fd < 0 || queue->call_fd < 0)
			return queue->kick_fd < 0 ? queue->kick_fd : queue->call_fd;
	}
	return 0;
}

int virtio_device_join_interrupts(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		if (dup3(dev->config_call_fd, dev->queues[i].call_fd, O_CLOEXEC) < 0)
			return -errno;
	}
	return 0;
}

static bool has_status(const struct virtio_device *dev, uint8_t bits)
{
	return (atomic_load(&dev->status) & bits) == bits;
}

static void start_queue(struct virtio_device *dev, unsigned int index)
{
	struct virtio_queue *queue = &dev->queues[index];
	int ret;

	/* Set up before the features said which queues there are: the driver guessed wrong. */
	if (!queue->size_max || queue->ring.size > queue->size_max) {
		virtio_device_break(dev, "a queue is larger than offered, or none");
		return;
	}
	ret = dev->ops->start_queue(dev, index);
	if (ret)
		virtio_device_break(dev, strerror(-ret));
	else
		queue->running = true;
}

static void stop_queue(struct virtio_device *dev, unsigned int index)
{
	struct virtio_queue *queue = &dev->queues[index];

	if (queue->running)
		dev->ops->stop_queue(dev, index);
	queue->running = false;
}

static bool may_run(const struct virtio_device *dev)
{
	return has_status(dev, VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !has_status(dev, VIRTIO_CONFIG_S_NEEDS_RESET) && !dev->suspended;
}

/* The driver is ready, or no suspension is left: what it has set up starts if both is so. */
static void start(struct virtio_device *dev)
{
	int ret;

	if (!may_run(dev))
		return;
	if (!dev->started) {
		dev->started = true;
		ret = dev->ops->start(dev);
		if (ret) {
			virtio_device_break(dev, strerror(-ret));
			return;
		}
	}
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		if (dev->queues[i].ready)
			start_queue(dev, i);
	}
}

void virtio_device_reset_queue(struct virtio_device *dev, unsigned int index)
{
	struct virtio_queue *queue = &dev->queues[index];

	stop_queue(dev, index);
	queue->ready = false;
	queue->ring = (struct ring_state){0};
	/* A kick from before must not wake the next ring. */
	fd_eventfd_drain(queue->kick_fd);
}

static void negotiated(struct virtio_device *dev)
{
	if (dev->ops->negotiated)
		dev->ops->negotiated(dev);
}

static void reset(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->n_queues; i++)
		virtio_device_reset_queue(dev, i);
	dev->accepted = 0;
	dev->started = false;
	negotiated(dev);
	/* Nobody else writes these now: the queues' threads are gone. */
	atomic_store(&dev->interrupt_status, 0);
	atomic_store(&dev->status, 0);
}

void virtio_device_suspend(struct virtio_device *dev, unsigned int why)
{
	for (unsigned int i = 0; i < dev->n_queues; i++)
		stop_queue(dev, i);
	dev->suspended |= why;
}

void virtio_device_resume(struct virtio_device *dev, unsigned int why)
{
	if (!(dev->suspended & why))
		return;
	dev->suspended &= ~why;
	start(dev);
}

void virtio_device_destroy(struct virtio_device *dev)
{
	if (!dev)
		return;
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		stop_queue(dev, i);
		fd_close(&dev->queues[i].kick_fd);
		fd_close(&dev->queues[i].call_fd);
	}
	free(dev->queues);
	fd_close(&dev->config_call_fd);
	pthread_mutex_destroy(&dev->lock);
	dev->ops->destroy(dev);
}

static bool features_ok(const struct virtio_device *dev)
{
	/* 6.2: a device without legacy interface insists on VERSION_1. */
	return !(dev->accepted & ~dev->offered) && dev->accepted >> VIRTIO_F_VERSION_1 & 1 &&
	       dev->ops->validate_features(dev, dev->accepted);
}

void virtio_device_set_status(struct virtio_device *dev, uint8_t status)
{
	uint8_t old = atomic_load(&dev->status);
	uint8_t fresh = (uint8_t)(status & ~old);

	if (status == 0) {
		reset(dev);
		return;
	}
	/* 2.1.1: the driver must not clear a bit, so none is; nor does it set ours. */
	fresh &= (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;
	if (fresh & VIRTIO_CONFIG_S_FEATURES_OK && !features_ok(dev))
		fresh &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (fresh & VIRTIO_CONFIG_S_DRIVER_OK && !((old | fresh) & VIRTIO_CONFIG_S_FEATURES_OK))
		fresh &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	atomic_fetch_or(&dev->status, fresh);
	if (fresh & VIRTIO_CONFIG_S_DRIVER)
		timeline_mark_device(dev->timeline, TIMELINE_DRIVER, dev->name);
	if (fresh & VIRTIO_CONFIG_S_DRIVER_OK)
		timeline_mark_device(dev->timeline, TIMELINE_DRIVER_OK, dev->name);
	if (fresh & VIRTIO_CONFIG_S_FEATURES_OK)
		negotiated(dev);
	if (fresh & VIRTIO_CONFIG_S_DRIVER_OK)
		start(dev);
}

uint32_t virtio_device_features(const struct virtio_device *dev, uint32_t word)
{
	return word < 2 ? (uint32_t)(dev->offered >> 32 * word) : 0;
}

void virtio_device_accept_features(struct virtio_device *dev, uint32_t word, uint32_t bits)
{
	if (word >= 2 || has_status(dev, VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	dev->accepted &= ~((uint64_t)UINT32_MAX << 32 * word);
	dev->accepted |= (uint64_t)bits << 32 * word;
}

void virtio_device_set_queue_ready(struct virtio_device *dev, unsigned int index, bool ready)
{
	struct virtio_queue *queue = &dev->queues[index];

	if (queue->ready == ready || !queue->size_max)
		return;
	queue->ready = ready;
	stop_queue(dev, index);
	queue->served = false;
	ring_state_rewind(&queue->ring, dev->accepted);
	if (ready && may_run(dev))
		start_queue(dev, index);
}

void virtio_device_read_config(struct virtio_device *dev, uint64_t offset, void *data, size_t len)
{
	size_t size = dev->ops->config_size;

	memset(data, 0, len);
	if (offset < size)
		dev->ops->read_config(dev, offset, data, len < size - offset ? len : size - offset);
}

void virtio_device_config_changed(struct virtio_device *dev)
{
	atomic_fetch_add(&dev->config_generation, 1);
	atomic_fetch_or(&dev->interrupt_status, VIRTIO_MMIO_INT_CONFIG);
	fd_eventfd_signal(dev->config_call_fd);
}

void virtio_device_break(struct virtio_device *dev, const char *why)
{
	uint8_t old = atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET);

	if (!atomic_exchange(&dev->broken_told, true))
		log_warning(dev->log, "%s: the device stops until the guest resets it: %s",
			    dev->name, why);
	/* 2.1.2: a running driver is told by a configuration change notification. */
	if (old & VIRTIO_CONFIG_S_DRIVER_OK && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		virtio_device_config_changed(dev);
}
