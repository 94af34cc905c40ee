/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions of bus 0 (PCI Local Bus Specification 3.0, chapter 6). */
#ifndef GUEST_LIB_PCI_H
#define GUEST_LIB_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pci_register {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x0a,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
};

enum {
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_INTX_DISABLE = 1 << 10,
	PCI_STATUS_INTERRUPT = 1 << 3,
	PCI_STATUS_CAPABILITIES = 1 << 4,
	PCI_HEADER_MULTI_FUNCTION = 1 << 7,
	PCI_BARS = 6,
};

enum pci_capability {
	PCI_CAP_POWER = 0x01,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_EXPRESS = 0x10,
	PCI_CAP_MSIX = 0x11,
};

/* MSI-X, 6.8.2 */
enum {
	PCI_MSIX_CONTROL = 2, /* offsets into the capability */
	PCI_MSIX_TABLE = 4,
	PCI_MSIX_PENDING = 8,
	PCI_MSIX_ENABLE = 1 << 15,
	PCI_MSIX_MASK_ALL = 1 << 14,
	PCI_MSIX_SIZE_MASK = 0x7ff, /* of the control word: table size - 1 */
	PCI_MSIX_VECTOR_MASKED = 1,
};

struct pci_msix_entry {
	uint32_t address;
	uint32_t address_high;
	uint32_t data;
	uint32_t control;
};

_Static_assert(sizeof(struct pci_msix_entry) == 16, "PCI 3.0, 6.8.2");

struct pci_bar {
	uint64_t base; /* physical is virtual; 0: there is none, or it is of another kind */
	uint64_t size;
};

struct pci_function {
	uint8_t device;
	uint8_t function;
	struct pci_bar bars[PCI_BARS]; /* those in memory, after pci_enable() */
};

/*
 * Configuration space. By ECAM where the platform tells of it (QEMU's microvm doesn't: parameter
 * "ecam"), else, and with the parameter "pci=ports", by ports 0xcf8 and 0xcfc, of which only x86
 * has any. @size is 1, 2 or 4. From 256 on ECAM only.
 */
uint32_t pci_read(const struct pci_function *function, unsigned int offset, unsigned int size);
void pci_write(const struct pci_function *function, unsigned int offset, unsigned int size,
	       uint32_t value);

/* By one of the two. False if there is none. */
bool pci_ecam_read(const struct pci_function *function, unsigned int offset, unsigned int size,
		   uint32_t *value);
uint32_t pci_ports_read(const struct pci_function *function, unsigned int offset,
			unsigned int size);

/* Its requester ID, which its messages have (PCI Express 3.0, 2.2.6.2). */
static inline uint32_t pci_requester(const struct pci_function *function)
{
	return (uint32_t)function->device << 3 | function->function;
}

/* The next function of bus 0 after *@function, from device 0 on if @first. False: no more. */
bool pci_next(struct pci_function *function, bool first);

/* The next capability @id after offset @after (0: the first one), or 0. */
unsigned int pci_find_capability(const struct pci_function *function, enum pci_capability id,
				 unsigned int after);

/*
 * Memory decoding and bus mastering on, INTx off. What nobody gave an address is put into the
 * window that the host bridge has for it; all of it is mapped.
 */
void pci_enable(struct pci_function *function);

/* The GSI of its INTx pin: as the platform tells, or by the parameter "intx". */
uint32_t pci_intx_gsi(const struct pci_function *function);

/* Ports, of which the architecture knows: without any, all bits of what is read are ones. */
uint32_t pci_port_read(uint32_t address, unsigned int offset, unsigned int size);
void pci_port_write(uint32_t address, unsigned int offset, unsigned int size, uint32_t value);

#endif
