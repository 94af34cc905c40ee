/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-pci transport, without the legacy interface (virtio 1.3, section 4.1): a PCI function
 * with all structures in one BAR. Kicks arrive by ioeventfd; interrupts leave as MSI-X messages or,
 * for a guest that doesn't use them, by the level-triggered pin, both by irqfd.
 */
#ifndef VIRTIO_PCI_H
#define VIRTIO_PCI_H

#include <stdint.h>

struct error;
struct kvm_vm;
struct loop;
struct pci_host;
struct virtio_device;
struct virtio_pci;

/* Where a device goes, and who serves it; all borrowed. */
struct virtio_pci_place {
	struct pci_host *host;
	unsigned int slot;
	uint32_t gsi; /* that the slot's interrupt pin raises */

	/*
	 * Without them (NULL: a test) kicks come only by register writes, interrupts stay in the
	 * device's eventfds, and the pin is never asserted again.
	 */
	struct kvm_vm *vm;
	struct loop *loop;
};

/* Put @dev (taken over, also on failure) into its slot. Before @place->loop runs. */
int virtio_pci_create(struct virtio_device *dev, const struct virtio_pci_place *place,
		      struct virtio_pci **pci, struct error *err);

/* Once no vCPU and no loop runs. Destroys the device. Accepts NULL. */
void virtio_pci_destroy(struct virtio_pci *pci);

#endif
