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
	uint64_t (*offered)(struct virtio_device *device);
	void (*accept)(struct virtio_device *device, uint64_t features);
	uint8_t (*status)(struct virtio_device *device);
	void (*set_status)(struct virtio_device *device, uint8_t status);
	void (*read_config)(struct virtio_device *device, size_t offset, void *data, size_t len);
	uint16_t (*queue_max)(struct virtio_device *device, uint16_t queue);
	void (*enable_queue)(struct virtio_device *device, uint16_t queue, uint16_t size,
			     const struct virtio_queue_areas *areas);
	void (*notify)(struct virtio_device *device, uint16_t queue);
	/* Which interrupt causes are pending, VIRTIO_CAUSE_*; takes them away. */
	uint32_t (*take_causes)(struct virtio_device *device);
};

struct virtio_device {
	const struct virtio_transport *transport;
	uintptr_t base;
	uint32_t gsi;
	uint64_t features; /* negotiated */
};

/* The @index-th device of type @id on any transport. False if there are fewer. */
bool virtio_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device);

/* Write 0 to the status and wait until it reads 0 (2.4). False if it doesn't within a second. */
bool virtio_reset(struct virtio_device *device);

/*
 * Reset and negotiate (3.1.1, steps 1 to 6) what is offered of @wanted; VERSION_1 always.
 * False if the device refuses.
 */
bool virtio_negotiate(struct virtio_device *device, uint64_t wanted);

/* Step 8: the queues are set up, go. */
void virtio_driver_ok(struct virtio_device *device);

bool virtio_has(const struct virtio_device *device, unsigned int feature_bit);

#endif
