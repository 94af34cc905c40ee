/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables (ACPI specification 6.4), as far as guests need them; every checksum is verified. */
#ifndef GUEST_LIB_ACPI_H
#define GUEST_LIB_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/platform.h"

struct acpi_header { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	uint32_t creator_id;
	uint32_t creator_revision;
} __attribute__((packed));

/* The table that the XSDT (or the RSDT, where there is no other) lists, or NULL. Or "DSDT". */
const struct acpi_header *acpi_find(const char *signature);

/* The little-endian field of @size bytes (8 at most) at @offset; 0 where the table ends before. */
uint64_t acpi_field(const struct acpi_header *table, size_t offset, size_t size);

/*
 * The @index-th structure of @type in the MADT (5.2.12), which must have @size bytes; NULL if
 * there are fewer.
 */
const void *acpi_madt_entry(unsigned int type, size_t size, unsigned int index);

enum acpi_madt_type {
	ACPI_MADT_LOCAL_APIC = 0,
	ACPI_MADT_IO_APIC = 1,
	ACPI_MADT_INTERRUPT_OVERRIDE = 2,
	ACPI_MADT_LOCAL_X2APIC = 9,
};

enum {
	ACPI_MADT_ENABLED = 1 << 0, /* flags of a local APIC */
};

struct acpi_madt_local_apic { /* 5.2.12.2 */
	uint8_t type, length;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct acpi_madt_io_apic { /* 5.2.12.3 */
	uint8_t type, length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct acpi_madt_local_x2apic { /* 5.2.12.12 */
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t processor_uid;
} __attribute__((packed));

/* A device of the DSDT: the first memory range and interrupt of its _CRS. */
struct acpi_device {
	uint64_t base;
	uint64_t size;
	uint32_t gsi;
	bool level_triggered;
	bool active_low;
};

/*
 * The @index-th device with _HID @hid; false if there are fewer. The AML is searched, not
 * interpreted: the resources must follow the _HID as constants, as compilers of AML leave them.
 */
bool acpi_device(const char *hid, unsigned int index, struct acpi_device *device);

/*
 * Of the first PCI host bridge in the DSDT: the first memory window of its _CRS below 4 GiB; and
 * the GSI that its _PRT has for @pin (0: INTA) of @device, if it says so without a link device.
 * False if there is none.
 */
bool acpi_pci_window(struct platform_range *window);
bool acpi_pci_interrupt(unsigned int device, unsigned int pin, uint32_t *gsi);

/* Generic Address Structure, 5.2.3.2. */
struct acpi_address {
	uint8_t space; /* enum acpi_space */
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
};

/* Write a byte to a register of the FADT. Architecture. */
void acpi_write8(const struct acpi_address *address, uint8_t value);

/* As a kernel does them at the end; both return if nothing happened within a second. */
void acpi_power_off(void);
void acpi_reset(void);

#endif
