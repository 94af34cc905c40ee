/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 (virtio 1.3, section 4.2): registers in a page of memory,
 * one interrupt. Kicks arrive by ioeventfd, interrupts leave by irqfd: both past this process.
 */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include <stdint.h>

#include "devices/bus.h"

struct error;
struct kvm_vm;
struct virtio_device;
struct virtio_mmio;

enum {
	VIRTIO_MMIO_SIZE = 0x1000, /* of the register range, in bytes */
};

/*
 * Put @dev (taken over, also on failure) behind registers at @base with interrupt @gsi. @vm is
 * borrowed; without one (NULL: a test) kicks come only by register writes and interrupts stay in
 * the device's eventfds.
 */
int virtio_mmio_create(struct virtio_device *dev, const struct kvm_vm *vm, uint64_t base,
		       uint32_t gsi, struct virtio_mmio **mmio, struct error *err);

/* Once no vCPU runs. Destroys the device. Accepts NULL. */
void virtio_mmio_destroy(struct virtio_mmio *mmio);

/* For bus_add(), with the struct virtio_mmio as the device. */
extern const struct bus_ops virtio_mmio_bus_ops;

#endif
