/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/mmio.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/defs.h"
#include "virtio/device.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/kvm.h"

/* Registers that <linux/virtio_mmio.h> of Debian 12 has no name for (4.2.2). */
#define MMIO_MAGIC   0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define MMIO_VENDOR  0x4d4d5658u /* "XVMM" */
enum {
	MMIO_QUEUE_RESET = 0x0c0,
};

struct virtio_mmio {
	struct virtio_device *dev; /* owned; under the lock */
	const struct kvm_vm *vm;   /* may be NULL */
	uint64_t base;
	uint32_t gsi;
	bool interrupt_bound; /* there is its irqfd */
	bool ack_coalesced;   /* KVM keeps what is written to InterruptACK */

	/* Under the device's lock. */
	uint64_t doorbells;	   /* queues whose kicks KVM signals, one bit each */
	uint32_t interrupts_shown; /* VIRTIO_MMIO_INT_*, see InterruptStatus */
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
};

/* --- kicks and the interrupt --- */

static struct kvm_ioevent doorbell(const struct virtio_mmio *mmio, unsigned int queue)
{
	return (struct kvm_ioevent){
		.addr = mmio->base + VIRTIO_MMIO_QUEUE_NOTIFY,
		.len = 4,
		.value = queue,
	};
}

/*
 * Without a doorbell, where KVM can't or values are not fixed (6.1: NOTIFICATION_DATA), the
 * register write ends up in write_register(), which does the same more slowly.
 */
static void add_doorbell(struct virtio_mmio *mmio, unsigned int index)
{
	struct kvm_ioevent ev = doorbell(mmio, index);

	if (!(mmio->dev->accepted >> VIRTIO_F_NOTIFICATION_DATA & 1) &&
	    !kvm_vm_add_ioeventfd(mmio->vm, &ev, mmio->dev->queues[index].kick_fd))
		mmio->doorbells |= 1ULL << index;
}

static void remove_doorbell(struct virtio_mmio *mmio, unsigned int index)
{
	struct kvm_ioevent ev = doorbell(mmio, index);

	kvm_vm_remove_ioeventfd(mmio->vm, &ev, mmio->dev->queues[index].kick_fd);
	mmio->doorbells &= ~(1ULL << index);
}

/* Have KVM itself pass on the kicks of the queues that run. */
static void sync_doorbells(struct virtio_mmio *mmio)
{
	for (unsigned int i = 0; mmio->vm && i < mmio->dev->n_queues; i++) {
		bool there = mmio->doorbells >> i & 1;

		if (mmio->dev->queues[i].running && !there)
			add_doorbell(mmio, i);
		else if (!mmio->dev->queues[i].running && there)
			remove_doorbell(mmio, i);
	}
}

/*
 * One irqfd for all that this device interrupts for, which are edges on one line. KVM raises and
 * lowers the line for each irqfd in a worker of its own: what one raises while another has it
 * raised already is lost if the driver has been there in between.
 */
static int bind_interrupt(struct virtio_mmio *mmio)
{
	int ret = virtio_device_join_interrupts(mmio->dev);

	if (ret || !mmio->vm)
		return ret;
	ret = kvm_vm_add_irqfd(mmio->vm, mmio->gsi, mmio->dev->config_call_fd);
	mmio->interrupt_bound = !ret;
	return ret;
}

/* --- registers --- */

static struct virtio_queue *selected_queue(const struct virtio_mmio *mmio)
{
	return mmio->queue_sel < mmio->dev->n_queues ? &mmio->dev->queues[mmio->queue_sel] : NULL;
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	struct virtio_device *dev = mmio->dev;
	const struct virtio_queue *queue = selected_queue(mmio);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_device_features(dev, mmio->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue ? queue->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue ? queue->ready : 0;
	case MMIO_QUEUE_RESET:
		return 0; /* 4.2.2.1: done by the time it can be read */
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		/*
		 * What happened moves to what was shown, and an acknowledgement ends only that. So
		 * it may come as late as KVM likes: what happened since is not lost with it.
		 */
		mmio->interrupts_shown |= atomic_exchange(&dev->interrupt_status, 0);
		return mmio->interrupts_shown;
	case VIRTIO_MMIO_STATUS:
		return atomic_load(&dev->status);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return atomic_load(&dev->config_generation);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		/* 4.2.2: a region that doesn't exist has the length -1. */
		return UINT32_MAX;
	default:
		return 0;
	}
}

static void set_low(gpa_t *addr, uint32_t value)
{
	addr->value = (addr->value & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(gpa_t *addr, uint32_t value)
{
	addr->value = (addr->value & UINT32_MAX) | (uint64_t)value << 32;
}

/* The registers that describe the selected queue; they are fixed while it is ready (4.2.2.2). */
static void write_queue_register(struct virtio_queue *queue, uint64_t offset, uint32_t value)
{
	if (queue->ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		if (value <= queue->size_max)
			queue->ring.size = (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&queue->ring.desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&queue->ring.desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&queue->ring.driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&queue->ring.driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&queue->ring.device, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&queue->ring.device, value);
		break;
	default:
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtio_device *dev = mmio->dev;
	struct virtio_queue *queue = selected_queue(mmio);

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_device_accept_features(dev, mmio->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (queue)
			virtio_device_set_queue_ready(dev, mmio->queue_sel, value == 1);
		sync_doorbells(mmio);
		break;
	case MMIO_QUEUE_RESET:
		if (queue && value == 1 && dev->accepted >> VIRTIO_F_RING_RESET & 1)
			virtio_device_reset_queue(dev, mmio->queue_sel);
		sync_doorbells(mmio);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (dev->accepted >> VIRTIO_F_NOTIFICATION_DATA & 1)
			value &= 0xffff; /* 2.9: where the ring stands follows, a hint */
		if (value < dev->n_queues)
			fd_eventfd_signal(dev->queues[value].kick_fd);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		mmio->interrupts_shown &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		if ((uint8_t)value == 0)
			mmio->interrupts_shown = 0;
		virtio_device_set_status(dev, (uint8_t)value);
		sync_doorbells(mmio);
		break;
	default:
		if (queue)
			write_queue_register(queue, offset, value);
		break;
	}
}

/* 4.2.2.2: registers before the configuration space take aligned 32-bit accesses only. */
static bool is_register(uint64_t offset, unsigned int len)
{
	return offset < VIRTIO_MMIO_CONFIG && offset % 4 == 0 && len == 4;
}

static void mmio_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct virtio_mmio *mmio = device;
	uint32_t value;

	pthread_mutex_lock(&mmio->dev->lock);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		virtio_device_read_config(mmio->dev, offset - VIRTIO_MMIO_CONFIG, data, len);
	} else if (is_register(offset, len)) {
		value = htole32(read_register(mmio, offset));
		memcpy(data, &value, sizeof(value));
	}
	pthread_mutex_unlock(&mmio->dev->lock);
}

static void mmio_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct virtio_mmio *mmio = device;
	uint32_t value;

	/* The configuration space of the devices that there are can only be read. */
	if (!is_register(offset, len))
		return;
	memcpy(&value, data, sizeof(value));
	pthread_mutex_lock(&mmio->dev->lock);
	write_register(mmio, offset, le32toh(value));
	pthread_mutex_unlock(&mmio->dev->lock);
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

/* --- life --- */

int virtio_mmio_create(struct virtio_device *dev, const struct kvm_vm *vm, uint64_t base,
		       uint32_t gsi, struct virtio_mmio **out, struct error *err)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));
	int ret;

	if (!mmio) {
		ret = error_set(err, -ENOMEM, "%s: out of memory", dev->name);
		virtio_device_destroy(dev);
		return ret;
	}
	mmio->dev = dev;
	mmio->vm = vm;
	mmio->base = base;
	mmio->gsi = gsi;
	ret = bind_interrupt(mmio);
	/* Of the two exits that an interrupt costs this saves one, where KVM can. */
	mmio->ack_coalesced = vm &&
			      !kvm_vm_add_coalesced_mmio(vm, base + VIRTIO_MMIO_INTERRUPT_ACK, 4);
	if (ret) {
		errno = -ret;
		error_errno(err, "%s: creating its interrupt", dev->name);
		virtio_mmio_destroy(mmio);
		return ret;
	}
	*out = mmio;
	return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	if (!mmio)
		return;
	virtio_device_set_status(mmio->dev, 0);
	sync_doorbells(mmio);
	if (mmio->ack_coalesced)
		kvm_vm_remove_coalesced_mmio(mmio->vm, mmio->base + VIRTIO_MMIO_INTERRUPT_ACK, 4);
	if (mmio->interrupt_bound)
		kvm_vm_remove_irqfd(mmio->vm, mmio->gsi, mmio->dev->config_call_fd);
	virtio_device_destroy(mmio->dev);
	free(mmio);
}
