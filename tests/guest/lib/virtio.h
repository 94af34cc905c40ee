/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as its driver sees it ("Virtual I/O Device (VIRTIO) Version 1.3"). The transport
 * is behind a table, so that drivers and rings are the same for all of them.
 */
#ifndef GUEST_LIB_VIRTIO_H
#define GUEST_LIB_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/irq.h"

enum virtio_status { /* 2.1 */
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_FEATURE(bit) (1ull << (bit))

enum virtio_feature_bit { /* 6 */
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_ACCESS_PLATFORM = 33,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_F_ORDER_PLATFORM = 36,
	VIRTIO_F_SR_IOV = 37,
	VIRTIO_F_NOTIFICATION_DATA = 38,
	VIRTIO_F_NOTIF_CONFIG_DATA = 39,
	VIRTIO_F_RING_RESET = 40,
	VIRTIO_F_ADMIN_VQ = 41,
};

enum virtio_device_id { /* 5 */
	VIRTIO_ID_NET = 1,
};

enum {
	VIRTIO_CAUSE_USED = 1 << 0,   /* a buffer was used */
	VIRTIO_CAUSE_CONFIG = 1 << 1, /* configuration change */
};

struct virtio_device;

/* Guest-physical addresses of the three parts of a queue (2.6). */
struct virtio_queue_areas {
	uint64_t descriptors;
	uint64_t driver;
	uint64_t device;
};

struct virtio_transport {
	const char *name;
	uint64_t (*offered)(struct virtio_device *device);
	void (*accept)(struct virtio_device *device, uint64_t features);
	uint8_t (*status)(struct virtio_device *device);
	void (*set_status)(struct virtio_device *device, uint8_t status);
	uint32_t (*config_generation)(struct virtio_device *device);
	void (*read_config)(struct virtio_device *device, size_t offset, void *data, size_t len);
	uint16_t (*queue_max)(struct virtio_device *device, uint16_t queue);
	bool (*queue_enabled)(struct virtio_device *device, uint16_t queue);
	void (*enable_queue)(struct virtio_device *device, uint16_t queue, uint16_t size,
			     const struct virtio_queue_areas *areas);
	/* RING_RESET (2.6.1): start it, and whether it still goes on. */
	void (*reset_queue)(struct virtio_device *device, uint16_t queue);
	bool (*queue_resetting)(struct virtio_device *device, uint16_t queue);
	/* @data is @queue, and with NOTIFICATION_DATA more (2.9). */
	void (*notify)(struct virtio_device *device, uint16_t queue, uint32_t data);
	/*
	 * Which interrupt causes are pending, VIRTIO_CAUSE_*; takes them away. With MSI-X, which
	 * tells no cause of a queue's interrupt, always VIRTIO_CAUSE_USED.
	 */
	uint32_t (*take_causes)(struct virtio_device *device);
	/* Have device->irq raised by all events; also after each reset. */
	void (*connect)(struct virtio_device *device);
};

struct virtio_pci;

struct virtio_device {
	const struct virtio_transport *transport;
	uint64_t features; /* negotiated */

	/* Interrupts, once virtio_connect() was called. */
	bool connected;
	struct irq irq;
	uint32_t causes; /* which the interrupt handler took */

	uintptr_t base;		/* MMIO */
	uint32_t gsi;		/* MMIO */
	struct virtio_pci *pci; /* PCI */
};

/*
 * The @index-th device of type @id, on the transport that the parameter "transport" names (mmio or
 * pci), else on any, MMIO first. False if there are fewer.
 */
bool virtio_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device);

/* Have interrupts in device->irq. On PCI by MSI-X, or with the parameter "msix=off" by INTx. */
void virtio_connect(struct virtio_device *device);

/* Write 0 to the status and wait until it reads 0 (2.4). False if it doesn't within a second. */
bool virtio_reset(struct virtio_device *device);

/*
 * Reset and negotiate (3.1.1, steps 1 to 6) what is offered of @wanted; VERSION_1 always.
 * False if the device refuses.
 */
bool virtio_negotiate(struct virtio_device *device, uint64_t wanted);

/* Reset a queue, RING_RESET being negotiated (2.6.1). False if it isn't done within a second. */
bool virtio_reset_queue(struct virtio_device *device, uint16_t queue);

/* Step 8: the queues are set up, go. */
void virtio_driver_ok(struct virtio_device *device);

bool virtio_has(const struct virtio_device *device, unsigned int feature_bit);

#endif
