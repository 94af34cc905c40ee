/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X (PCI Local Bus 3.0, 6.8.2): the events of a function, each an eventfd, reach the guest as
 * the messages that it put into the vector table; KVM sends them, past this process.
 *
 * While a vector may send, KVM has the eventfds of the events that are mapped to it. While it may
 * not (masked, MSI-X disabled, no bus master), they keep what happens: that is the pending bit, and
 * nothing is lost, however vectors are masked, changed and mapped anew.
 *
 * Threads: the function calls all this under a lock of its own.
 */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/pci.h"

struct kvm_vm;

enum {
	PCI_MSIX_VECTORS_MAX = 2048,
	PCI_MSIX_NO_VECTOR = 0xffff,
};

struct pci_msix_vector;
struct pci_msix_event;

struct pci_msix {
	struct pci_function *function;	 /* borrowed */
	struct kvm_vm *vm;		 /* borrowed; NULL (a test): all stays in the eventfds */
	struct pci_msix_vector *vectors; /* owned */
	struct pci_msix_event *events;	 /* owned */
	unsigned int n_vectors;
	unsigned int n_events;
	uint8_t capability;
	bool enabled; /* as pci_msix_update() was told */
};

/*
 * Give @function the capability, with a table of @n_vectors at @table and the pending bits at @pba
 * in its BAR (multiples of 8). No event is mapped to a vector. 0 or -ENOMEM.
 */
int pci_msix_init(struct pci_msix *msix, struct pci_function *function, struct kvm_vm *vm,
		  unsigned int n_vectors, unsigned int n_events, uint32_t table, uint32_t pba);

/* KVM has none of the eventfds any more. Accepts what is all zero. */
void pci_msix_destroy(struct pci_msix *msix);

/* The eventfd (borrowed) of event @event; at first. */
void pci_msix_set_fd(struct pci_msix *msix, unsigned int event, int fd);

/* The guest has switched from the interrupt pin to messages. Any thread. */
bool pci_msix_enabled(const struct pci_msix *msix);

/*
 * Map an event to a vector, or to none: what isn't one, or KVM can't do (a negative errno); and
 * which one it is.
 */
int pci_msix_map(struct pci_msix *msix, unsigned int event, uint16_t vector);
uint16_t pci_msix_mapped(const struct pci_msix *msix, unsigned int event);

/*
 * Look at the configuration space again: what is masked, whether messages may be sent. @enabled is
 * what pci_msix_enabled() said: asked once, for who has eventfds bound to the pin must decide by
 * the same answer. Until the next update MSI-X is as on or off as that, whatever the guest writes.
 *
 * 0, or a negative errno of KVM's (no memory, no such message): the event it happened to is pending
 * until it can be sent, which is tried at each change; all others are as they should be.
 */
int pci_msix_update(struct pci_msix *msix, bool enabled);

/* All vectors masked, no event mapped: as after power-on. */
void pci_msix_reset(struct pci_msix *msix);

/*
 * Table and pending bits, at @offset from the beginning of each; any offset, @len up to 4. A write
 * can fail as an update can.
 */
void pci_msix_read_table(const struct pci_msix *msix, uint64_t offset, uint8_t *data,
			 unsigned int len);
int pci_msix_write_table(struct pci_msix *msix, uint64_t offset, const uint8_t *data,
			 unsigned int len);
void pci_msix_read_pba(const struct pci_msix *msix, uint64_t offset, uint8_t *data,
		       unsigned int len);

#endif
