/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/acpi.h"
#include "lib/guest.h"
#include "x86_64/ring0.h"

void acpi_write8(const struct acpi_address *address, uint8_t value)
{
	switch (address->space) {
	case ACPI_SPACE_MEMORY:
		*(volatile uint8_t *)(uintptr_t)address->address = value;
		break;
	case ACPI_SPACE_IO:
		port_write((uint16_t)address->address, 1, value);
		break;
	default:
		fatal("ACPI: address space %u", address->space);
	}
}
