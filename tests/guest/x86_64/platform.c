/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/platform.h"

#include "lib/acpi.h"

enum {
	MCFG_BASE = 44, /* of the first allocation, which has bus 0 (PCI Firmware 3.2, 4.1.2) */
};

bool platform_virtio_mmio(unsigned int index, uint64_t *base, uint32_t *gsi)
{
	struct acpi_device device;

	if (!acpi_device("LNRO0005", index, &device))
		return false;
	*base = device.base;
	*gsi = device.gsi;
	return true;
}

uint64_t platform_pci_ecam(void)
{
	const struct acpi_header *mcfg = acpi_find("MCFG");

	return mcfg != NULL ? acpi_field(mcfg, MCFG_BASE, 8) : 0;
}

bool platform_pci_window(struct platform_range *window)
{
	return acpi_pci_window(window);
}

bool platform_pci_interrupt(unsigned int device, unsigned int pin, uint32_t *gsi)
{
	return acpi_pci_interrupt(device, pin, gsi);
}

void platform_power_off(void)
{
	acpi_power_off();
}

void platform_reset(void)
{
	acpi_reset();
}
