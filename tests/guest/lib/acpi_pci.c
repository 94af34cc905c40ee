/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI host bridge in the DSDT. As in acpi.c, AML is searched for constants, not interpreted. */
#include "lib/acpi.h"
#include "lib/string.h"

enum {
	DWORD_ADDRESS_SPACE = 0x87, /* 6.4.3.5.2 */
	DWORD_LENGTH = 0x17,	    /* without a resource source */
	ADDRESS_SPACE_MEMORY = 0,
	PACKAGE_OP = 0x12, /* 20.2.5.4 */
};

static uint32_t read32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

bool acpi_pci_window(struct platform_range *window)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	const uint8_t *at = (const uint8_t *)dsdt;
	const uint8_t *end = at + (dsdt == NULL ? 0 : dsdt->length);

	for (; at + DWORD_LENGTH + 3 < end; at++) {
		if (at[0] != DWORD_ADDRESS_SPACE || at[1] != DWORD_LENGTH || at[2] != 0 ||
		    at[3] != ADDRESS_SPACE_MEMORY)
			continue;
		window->base = read32(at + 10);
		window->size = read32(at + 22);
		return true;
	}
	return false;
}

/* An integer constant (20.2.3). Returns what follows it, or NULL if it isn't one. */
static const uint8_t *read_integer(const uint8_t *at, uint32_t *value)
{
	*value = 0;
	switch (at[0]) {
	case 0x00: /* ZeroOp */
	case 0x01: /* OneOp */
		*value = at[0];
		return at + 1;
	case 0x0a: /* BytePrefix */
		*value = at[1];
		return at + 2;
	case 0x0b: /* WordPrefix */
		memcpy(value, at + 1, 2);
		return at + 3;
	case 0x0c: /* DWordPrefix */
		*value = read32(at + 1);
		return at + 5;
	default:
		return NULL;
	}
}

/* One element of a _PRT (6.2.13): package of 4: address, pin, source, index. */
static bool read_route(const uint8_t *at, uint32_t route[4])
{
	/* A PkgLength of one byte, 4 elements. */
	if (at[0] != PACKAGE_OP || at[1] >= 0x40 || at[2] != 4)
		return false;
	at += 3;
	for (int i = 0; i < 4 && at != NULL; i++)
		at = read_integer(at, &route[i]);
	return at != NULL;
}

bool acpi_pci_interrupt(unsigned int device, unsigned int pin, uint32_t *gsi)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	const uint8_t *at = (const uint8_t *)dsdt;
	const uint8_t *end = at + (dsdt == NULL ? 0 : dsdt->length);
	uint32_t route[4];

	for (; at + 32 < end; at++) {
		/* Function 0xffff: all functions of the device. */
		if (!read_route(at, route) || route[0] != (device << 16 | 0xffff) ||
		    route[1] != pin || route[2] != 0)
			continue;
		*gsi = route[3];
		return true;
	}
	return false;
}
