/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/platform.h"

#include "lib/acpi.h"
#include "x86_64/ring0.h"

enum {
	PORT_GUEST_MARK = 0xf8,
	PORT_PVPANIC = 0x505,
	MCFG_BASE = 44, /* of the first allocation, which has bus 0 (PCI Firmware 3.2, 4.1.2) */
};

const struct platform_memory platform_memory = {.hole = 0xc0000000, .above = 0x100000000};

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

/* As which event it arrives is not looked at: only AML knows where to read that. */
bool platform_power_button(uint32_t *gsi, enum irq_trigger *trigger)
{
	struct acpi_device ged; /* Generic Event Device */

	if (!acpi_device("ACPI0013", 0, &ged) || ged.gsi == 0)
		return false;
	*gsi = ged.gsi;
	*trigger = ged.level_triggered ? IRQ_LEVEL_HIGH : IRQ_EDGE_HIGH;
	return true;
}

uint8_t platform_pvpanic_events(void)
{
	uint8_t events = (uint8_t)port_read(PORT_PVPANIC, 1);

	return events == 0xff ? 0 : events; /* what no device reads as */
}

void platform_pvpanic(uint8_t events)
{
	port_write(PORT_PVPANIC, 1, events);
}

void platform_guest_mark(uint32_t value, unsigned int size)
{
	port_write(PORT_GUEST_MARK, size, value);
}

void platform_power_off(void)
{
	acpi_power_off();
}

void platform_reset(void)
{
	acpi_reset();
}
