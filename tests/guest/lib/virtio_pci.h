/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport, not the legacy one (virtio 1.3, 4.1). */
#ifndef GUEST_LIB_VIRTIO_PCI_H
#define GUEST_LIB_VIRTIO_PCI_H

#include "lib/pci.h"
#include "lib/virtio.h"

enum {
	VIRTIO_PCI_VENDOR = 0x1af4,
	VIRTIO_PCI_DEVICE_BASE = 0x1040,
	VIRTIO_PCI_NO_VECTOR = 0xffff,
};

enum virtio_pci_capability { /* 4.1.4 */
	VIRTIO_PCI_CAP_COMMON = 1,
	VIRTIO_PCI_CAP_NOTIFY = 2,
	VIRTIO_PCI_CAP_ISR = 3,
	VIRTIO_PCI_CAP_DEVICE = 4,
	VIRTIO_PCI_CAP_PCI = 5,
	VIRTIO_PCI_CAP_SHARED_MEMORY = 8,
	VIRTIO_PCI_CAP_VENDOR = 9,
};

enum { /* offsets into a capability */
	VIRTIO_PCI_CAP_LEN = 2,
	VIRTIO_PCI_CAP_TYPE = 3,
	VIRTIO_PCI_CAP_BAR = 4,
	VIRTIO_PCI_CAP_OFFSET = 8,
	VIRTIO_PCI_CAP_LENGTH = 12,
	VIRTIO_PCI_CAP_MULTIPLIER = 16, /* VIRTIO_PCI_CAP_NOTIFY */
	VIRTIO_PCI_CAP_DATA = 16,	/* VIRTIO_PCI_CAP_PCI */
};

struct virtio_pci_common { /* 4.1.4.3 */
	uint32_t device_feature_select;
	uint32_t device_feature;
	uint32_t driver_feature_select;
	uint32_t driver_feature;
	uint16_t config_msix_vector;
	uint16_t num_queues;
	uint8_t device_status;
	uint8_t config_generation;
	uint16_t queue_select;
	uint16_t queue_size;
	uint16_t queue_msix_vector;
	uint16_t queue_enable;
	uint16_t queue_notify_off;
	uint32_t queue_desc[2]; /* low half, high half */
	uint32_t queue_driver[2];
	uint32_t queue_device[2];
	uint16_t queue_notif_config_data;
	uint16_t queue_reset;
	uint16_t admin_queue_index;
	uint16_t admin_queue_num;
};

_Static_assert(sizeof(struct virtio_pci_common) == 64, "virtio 1.3, 4.1.4.3");
_Static_assert(offsetof(struct virtio_pci_common, queue_desc) == 32, "virtio 1.3, 4.1.4.3");

enum {
	VIRTIO_PCI_QUEUES_MAX = 64, /* that this driver uses */
};

struct virtio_pci {
	struct pci_function function;
	volatile struct virtio_pci_common *common;
	volatile uint8_t *isr;
	volatile uint8_t *config; /* NULL: no device-specific configuration */
	uintptr_t notify;
	uint32_t notify_multiplier;
	uint16_t notify_offsets[VIRTIO_PCI_QUEUES_MAX]; /* once a queue is enabled */

	unsigned int msix; /* offset of the capability, or 0 */
	volatile struct pci_msix_entry *msix_table;
	bool msix_on;
};

/* The @index-th device with @id of those on bus 0. */
bool virtio_pci_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device);

/* The offset of its first capability of @type, or 0. */
unsigned int virtio_pci_capability(const struct pci_function *function,
				   enum virtio_pci_capability type);

/* Let MSI-X vector @vector, with MSI-X on, raise a new interrupt. */
struct irq virtio_pci_request_vector(struct virtio_pci *pci, unsigned int vector);

void virtio_pci_set_msix(struct virtio_pci *pci, bool on);

#endif
