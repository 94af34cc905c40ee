/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of a hardware-reduced platform (ACPI 6.4): RSDP, XSDT, FADT, MADT, DSDT and,
 * with PCI, MCFG. They describe what is there and nothing else: no PIC, PIT, RTC, i8042 or VGA for
 * a guest to probe.
 *
 * The structs that tell others apart are public for the tests, which walk the tables as a guest
 * does. All fields are little-endian, as is every host that runs this file.
 */
#ifndef ARCH_X86_64_ACPI_H
#define ARCH_X86_64_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "vmm/core/memory.h"

struct error;

/* Root System Description Pointer, section 5.2.5.3. */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_address;
	uint32_t length;
	uint64_t xsdt_address;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.4, section 5.2.5.3");

/* System description table header, section 5.2.6. */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4, section 5.2.6");

/* Generic Address Structure, section 5.2.3.2. */
struct acpi_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_address) == 12, "ACPI 6.4, section 5.2.3.2");

/* Fixed ACPI Description Table, section 5.2.9. */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t firmware_ctrl;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t preferred_pm_profile;
	uint8_t fixed_hardware[63]; /* SCI_INT to CENTURY: ignored if HW_REDUCED_ACPI */
	uint16_t boot_arch;	    /* IAPC_BOOT_ARCH */
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_firmware_ctrl;
	uint64_t x_dsdt;
	struct acpi_address x_fixed_hardware[8]; /* X_PM1a_EVT_BLK to X_GPE1_BLK: likewise */
	struct acpi_address sleep_control_reg;
	struct acpi_address sleep_status_reg;
	uint64_t hypervisor_vendor;
} __attribute__((packed));
_Static_assert(offsetof(struct acpi_fadt, boot_arch) == 109, "ACPI 6.4, section 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.4, section 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.4, section 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control_reg) == 244, "ACPI 6.4, section 5.2.9");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.4, section 5.2.9");

/* Fixed feature flags, section 5.2.9. */
#define ACPI_FADT_WBINVD	  (1u << 0)
#define ACPI_FADT_PROC_C1	  (1u << 2)
#define ACPI_FADT_PWR_BUTTON	  (1u << 4) /* no power button in fixed hardware */
#define ACPI_FADT_SLP_BUTTON	  (1u << 5) /* nor a sleep button */
#define ACPI_FADT_FIX_RTC	  (1u << 6) /* nor a wake-up by RTC */
#define ACPI_FADT_RESET_REG_SUP	  (1u << 10)
#define ACPI_FADT_HW_REDUCED_ACPI (1u << 20)

/* IA-PC boot architecture flags, section 5.2.9.3. */
#define ACPI_BOOT_LEGACY_DEVICES (1u << 0)
#define ACPI_BOOT_8042		 (1u << 1)
#define ACPI_BOOT_NO_VGA	 (1u << 2)
#define ACPI_BOOT_NO_CMOS_RTC	 (1u << 5)

/* Multiple APIC Description Table, section 5.2.12, and its interrupt controller structures. */
struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic_address;
	uint32_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_madt) == 44, "ACPI 6.4, section 5.2.12");

enum {
	ACPI_MADT_LOCAL_APIC = 0,
	ACPI_MADT_IOAPIC = 1,
	ACPI_MADT_LOCAL_X2APIC = 9,
};

#define ACPI_MADT_ENABLED (1u << 0) /* local APIC flags, section 5.2.12.2 */

struct acpi_madt_local_apic {
	uint8_t type;
	uint8_t length;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_madt_local_apic) == 8, "ACPI 6.4, section 5.2.12.2");

struct acpi_madt_ioapic {
	uint8_t type;
	uint8_t length;
	uint8_t ioapic_id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_madt_ioapic) == 12, "ACPI 6.4, section 5.2.12.3");

struct acpi_madt_local_x2apic {
	uint8_t type;
	uint8_t length;
	uint16_t reserved;
	uint32_t x2apic_id;
	uint32_t flags;
	uint32_t processor_uid;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_madt_local_x2apic) == 16, "ACPI 6.4, section 5.2.12.12");

/*
 * Where configuration spaces are in memory, of one host bridge (PCI Firmware Specification 3.0,
 * 4.1.2).
 */
struct acpi_mcfg {
	struct acpi_header header;
	uint8_t reserved[8];
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus;
	uint8_t last_bus;
	uint8_t reserved2[4];
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_mcfg) == 60, "PCI Firmware Specification 3.0, 4.1.2");

/*
 * Write the tables that describe @cpus, @n @devices and @pci (or NULL) into @area of @mem, the RSDP
 * at its start (which must be a multiple of 16). Errors: -ENOSPC if @area is too small, and then
 * has a part of them; -EINVAL for a device that our tables can't describe; -EFAULT if @area isn't
 * memory. Before the vCPUs run.
 *
 * arch_write_tables() is this with the area that the memory layout has for it.
 */
int acpi_write_tables(const struct guest_memory *mem, struct memory_range area, unsigned int cpus,
		      const struct arch_device *devices, size_t n, const struct arch_pci *pci,
		      struct error *err);

#endif
