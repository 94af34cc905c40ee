/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/acpi.h"

#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/string.h"

struct rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from revision 2 on, as what follows */
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

enum {
	FADT_DSDT = 40,
	FADT_X_DSDT = 140,
	MADT_ENTRIES = 44,
};

static bool sums_to_zero(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static bool is_rsdp(const struct rsdp *rsdp)
{
	return memcmp(rsdp->signature, "RSD PTR ", 8) == 0 && sums_to_zero(rsdp, 20);
}

static const struct rsdp *find_rsdp(void)
{
	const struct rsdp *rsdp = (const void *)boot_info.rsdp;

	/* 5.2.5.1: else it is in the BIOS's read-only memory. */
	for (uintptr_t at = 0xe0000; rsdp == NULL && at < 0x100000; at += 16)
		if (is_rsdp((const void *)at))
			rsdp = (const void *)at;
	if (rsdp == NULL)
		fatal("ACPI: no RSDP");
	if (!is_rsdp(rsdp))
		fatal("ACPI: RSDP at %#lx has a bad signature or checksum", boot_info.rsdp);
	return rsdp;
}

static const struct acpi_header *checked(uint64_t address, const char *signature)
{
	const struct acpi_header *table = (const void *)address;

	if (memcmp(table->signature, signature, 4) != 0)
		return NULL;
	if (table->length < sizeof(*table) || !sums_to_zero(table, table->length))
		fatal("ACPI: %s has a bad length or checksum", signature);
	return table;
}

uint64_t acpi_field(const struct acpi_header *table, size_t offset, size_t size)
{
	uint64_t value = 0;

	if (offset + size <= table->length)
		memcpy(&value, (const uint8_t *)table + offset, size);
	return value;
}

static const struct acpi_header *find_listed(const char *signature)
{
	const struct rsdp *rsdp = find_rsdp();
	bool extended = rsdp->revision >= 2 && rsdp->xsdt != 0;
	size_t entry_size = extended ? 8 : 4;
	const struct acpi_header *root = checked(extended ? rsdp->xsdt : rsdp->rsdt,
						 extended ? "XSDT" : "RSDT");

	if (root == NULL || (extended && !sums_to_zero(rsdp, rsdp->length)))
		fatal("ACPI: bad RSDP or no XSDT where it says");
	for (size_t at = sizeof(*root); at + entry_size <= root->length; at += entry_size) {
		const struct acpi_header *table = checked(acpi_field(root, at, entry_size),
							  signature);

		if (table != NULL)
			return table;
	}
	return NULL;
}

const struct acpi_header *acpi_find(const char *signature)
{
	const struct acpi_header *fadt;
	uint64_t dsdt;

	if (memcmp(signature, "DSDT", 4) != 0)
		return find_listed(signature);
	fadt = find_listed("FACP");
	if (fadt == NULL)
		return NULL;
	dsdt = acpi_field(fadt, FADT_X_DSDT, 8);
	return checked(dsdt != 0 ? dsdt : acpi_field(fadt, FADT_DSDT, 4), signature);
}

const void *acpi_madt_entry(unsigned int type, size_t size, unsigned int index)
{
	const struct acpi_header *madt = acpi_find("APIC");
	const uint8_t *bytes = (const uint8_t *)madt;

	if (madt == NULL)
		fatal("ACPI: no MADT");
	for (size_t at = MADT_ENTRIES; at + 2 <= madt->length; at += bytes[at + 1]) {
		if (bytes[at + 1] < 2 || at + bytes[at + 1] > madt->length)
			fatal("ACPI: MADT entry at %zu has length %u", at, bytes[at + 1]);
		if (bytes[at] != type)
			continue;
		if (bytes[at + 1] != size)
			fatal("ACPI: MADT entry at %zu: length is %u, not %zu", at, bytes[at + 1],
			      size);
		if (index-- == 0)
			return bytes + at;
	}
	return NULL;
}

/* Resource descriptors, 6.4.3. */
enum {
	MEMORY32_FIXED = 0x86,
	MEMORY32_FIXED_LENGTH = 9,
	EXTENDED_INTERRUPT = 0x89,
	EXTENDED_INTERRUPT_EDGE = 1 << 1,
	EXTENDED_INTERRUPT_LOW = 1 << 2,
};

static uint32_t read_le(const uint8_t *at, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, at, size);
	return value;
}

static void read_resources(const uint8_t *at, const uint8_t *end, struct acpi_device *device)
{
	bool have_memory = false;
	bool have_interrupt = false;

	for (; at + 12 <= end && memcmp(at, "_HID", 4) != 0; at++) {
		uint32_t length = read_le(at + 1, 2);

		if (at[0] == MEMORY32_FIXED && length == MEMORY32_FIXED_LENGTH && !have_memory) {
			device->base = read_le(at + 4, 4);
			device->size = read_le(at + 8, 4);
			have_memory = true;
		}
		if (at[0] == EXTENDED_INTERRUPT && length >= 6 && at[4] > 0 && !have_interrupt) {
			device->gsi = read_le(at + 5, 4);
			device->level_triggered = !(at[3] & EXTENDED_INTERRUPT_EDGE);
			device->active_low = at[3] & EXTENDED_INTERRUPT_LOW;
			have_interrupt = true;
		}
	}
}

bool acpi_device(const char *hid, unsigned int index, struct acpi_device *device)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	size_t len = strlen(hid);
	const uint8_t *end = (const uint8_t *)dsdt + (dsdt == NULL ? 0 : dsdt->length);

	if (dsdt == NULL)
		fatal("ACPI: no DSDT");
	for (const uint8_t *at = (const uint8_t *)(dsdt + 1); at + len < end; at++) {
		if (memcmp(at, hid, len) != 0 || at[len] != '\0' || index-- != 0)
			continue;
		*device = (struct acpi_device){.base = 0};
		read_resources(at + len, end, device);
		return true;
	}
	return false;
}
