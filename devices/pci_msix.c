/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/pci_msix.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/fd.h"
#include "vmm/core/kvm.h"

struct pci_msix_vector {
	uint32_t entry[PCI_MSIX_ENTRY_SIZE / 4]; /* as the guest reads it, host byte order */
	uint32_t gsi;				 /* of the message, while KVM knows one; else 0 */
};

struct pci_msix_event {
	int fd;		 /* borrowed */
	uint16_t vector; /* or PCI_MSIX_NO_VECTOR */
	uint32_t bound;	 /* the GSI that KVM has it for, or 0 */
};

enum {
	ADDRESS_LOW = PCI_MSIX_ENTRY_LOWER_ADDR / 4,
	ADDRESS_HIGH = PCI_MSIX_ENTRY_UPPER_ADDR / 4,
	DATA = PCI_MSIX_ENTRY_DATA / 4,
	CONTROL = PCI_MSIX_ENTRY_VECTOR_CTRL / 4,
};

int pci_msix_init(struct pci_msix *msix, struct pci_function *function, struct kvm_vm *vm,
		  unsigned int n_vectors, unsigned int n_events, uint32_t table, uint32_t pba)
{
	struct {
		uint16_t control;
		uint32_t table, pba;
	} __attribute__((packed))
	registers = {htole16((uint16_t)(n_vectors - 1)), htole32(table), htole32(pba)};
	uint8_t at;

	*msix = (struct pci_msix){
		.function = function,
		.vm = vm,
		.vectors = calloc(n_vectors, sizeof(*msix->vectors)),
		.events = calloc(n_events, sizeof(*msix->events)),
		.n_vectors = n_vectors,
		.n_events = n_events,
	};
	if (!msix->vectors || !msix->events) {
		free(msix->vectors);
		free(msix->events);
		*msix = (struct pci_msix){0};
		return -ENOMEM;
	}
	at = msix->capability = pci_add_capability(function, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	memcpy(function->config + at + PCI_MSIX_FLAGS, &registers, sizeof(registers));
	function->writable[at + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	for (unsigned int i = 0; i < n_vectors; i++)
		msix->vectors[i].entry[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	for (unsigned int i = 0; i < n_events; i++)
		msix->events[i] = (struct pci_msix_event){-1, PCI_MSIX_NO_VECTOR, 0};
	return 0;
}

void pci_msix_set_fd(struct pci_msix *msix, unsigned int event, int fd)
{
	msix->events[event].fd = fd;
}

/* --- what KVM has --- */

static void unbind(struct pci_msix *msix, struct pci_msix_event *event)
{
	/* What came before this is delivered when it returns, what comes later stays. */
	if (event->bound)
		kvm_vm_remove_irqfd(msix->vm, event->bound, event->fd);
	event->bound = 0;
}

static int bind(struct pci_msix *msix, struct pci_msix_event *event, uint32_t gsi)
{
	int ret;

	unbind(msix, event);
	ret = kvm_vm_add_irqfd(msix->vm, gsi, event->fd);
	if (ret)
		return ret;
	event->bound = gsi;
	/* KVM has sent what was pending, but has not taken it. What comes now it does take. */
	fd_eventfd_drain(event->fd);
	return 0;
}

/* Tell KVM of the vector's message, if it doesn't know it. 0 or a negative errno. */
static int route(struct pci_msix *msix, struct pci_msix_vector *vector)
{
	const struct kvm_msi_message message = {
		.address = (uint64_t)vector->entry[ADDRESS_HIGH] << 32 | vector->entry[ADDRESS_LOW],
		.data = vector->entry[DATA],
		.devid = (uint32_t)msix->function->slot << 3,
	};
	int gsi = kvm_vm_set_msi(msix->vm, vector->gsi, &message);

	if (gsi < 0)
		return gsi;
	vector->gsi = (uint32_t)gsi;
	return 0;
}

static uint32_t control(const struct pci_msix *msix)
{
	return pci_config_get(msix->function, msix->capability + PCI_MSIX_FLAGS, 2);
}

bool pci_msix_enabled(const struct pci_msix *msix)
{
	return control(msix) & PCI_MSIX_FLAGS_ENABLE;
}

/* May messages be sent at all? */
static bool is_on(const struct pci_msix *msix)
{
	return msix->vm && msix->enabled && !(control(msix) & PCI_MSIX_FLAGS_MASKALL) &&
	       pci_function_state(msix->function).bus_master;
}

static int sync_event(struct pci_msix *msix, struct pci_msix_event *event, bool on)
{
	struct pci_msix_vector *vector = event->vector < msix->n_vectors
						 ? &msix->vectors[event->vector]
						 : NULL;
	int ret = 0;

	if (on && vector && !(vector->entry[CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT)) {
		ret = route(msix, vector);
		if (!ret)
			return event->bound == vector->gsi ? 0 : bind(msix, event, vector->gsi);
	}
	unbind(msix, event);
	return ret;
}

static int sync_events(struct pci_msix *msix)
{
	bool on = is_on(msix);
	int first = 0;

	for (unsigned int i = 0; i < msix->n_events; i++) {
		int ret = sync_event(msix, &msix->events[i], on);

		if (!first)
			first = ret;
	}
	return first;
}

int pci_msix_update(struct pci_msix *msix, bool enabled)
{
	msix->enabled = enabled;
	return sync_events(msix);
}

/* --- what the guest does --- */

int pci_msix_map(struct pci_msix *msix, unsigned int event, uint16_t vector)
{
	struct pci_msix_event *mapped = &msix->events[event];
	int ret;

	mapped->vector = vector < msix->n_vectors ? vector : PCI_MSIX_NO_VECTOR;
	ret = sync_event(msix, mapped, is_on(msix));
	if (ret)
		mapped->vector = PCI_MSIX_NO_VECTOR;
	return ret;
}

uint16_t pci_msix_mapped(const struct pci_msix *msix, unsigned int event)
{
	return msix->events[event].vector;
}

void pci_msix_reset(struct pci_msix *msix)
{
	for (unsigned int i = 0; i < msix->n_events; i++)
		msix->events[i].vector = PCI_MSIX_NO_VECTOR;
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		memset(msix->vectors[i].entry, 0, sizeof(msix->vectors[i].entry));
		msix->vectors[i].entry[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	sync_events(msix); /* nothing is bound: it can't fail */
}

/* 6.8.2: tables are read and written by aligned dwords (or pairs of them); the rest is undefined.
 */
static bool is_dword(uint64_t offset, unsigned int len, uint64_t size)
{
	return len == 4 && offset % 4 == 0 && offset < size;
}

static void put_dword(uint8_t *data, uint32_t value)
{
	value = htole32(value);
	memcpy(data, &value, sizeof(value));
}

void pci_msix_read_table(const struct pci_msix *msix, uint64_t offset, uint8_t *data,
			 unsigned int len)
{
	if (is_dword(offset, len, (uint64_t)msix->n_vectors * PCI_MSIX_ENTRY_SIZE))
		put_dword(data, msix->vectors[offset / PCI_MSIX_ENTRY_SIZE]
					.entry[offset % PCI_MSIX_ENTRY_SIZE / 4]);
}

int pci_msix_write_table(struct pci_msix *msix, uint64_t offset, const uint8_t *data,
			 unsigned int len)
{
	uint64_t field = offset % PCI_MSIX_ENTRY_SIZE / 4;
	uint32_t value;

	if (!is_dword(offset, len, (uint64_t)msix->n_vectors * PCI_MSIX_ENTRY_SIZE))
		return 0;
	memcpy(&value, data, sizeof(value));
	value = le32toh(value);
	if (field == CONTROL)
		value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	msix->vectors[offset / PCI_MSIX_ENTRY_SIZE].entry[field] = value;
	return sync_events(msix);
}

static bool is_pending(const struct pci_msix_event *event)
{
	struct pollfd pfd = {.fd = event->fd, .events = POLLIN};

	return !event->bound && poll(&pfd, 1, 0) == 1;
}

void pci_msix_read_pba(const struct pci_msix *msix, uint64_t offset, uint8_t *data,
		       unsigned int len)
{
	uint32_t bits = 0;

	if (!is_dword(offset, len, (uint64_t)8 * ((msix->n_vectors + 63) / 64)))
		return;
	for (unsigned int i = 0; i < msix->n_events; i++) {
		uint16_t vector = msix->events[i].vector;

		if (vector / 32 == offset / 4 && is_pending(&msix->events[i]))
			bits |= 1u << vector % 32;
	}
	put_dword(data, bits);
}

void pci_msix_destroy(struct pci_msix *msix)
{
	for (unsigned int i = 0; i < msix->n_events; i++)
		unbind(msix, &msix->events[i]);
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		if (msix->vectors[i].gsi)
			kvm_vm_free_msi(msix->vm, msix->vectors[i].gsi);
	}
	free(msix->vectors);
	free(msix->events);
}
