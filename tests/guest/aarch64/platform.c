/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/platform.h"

#include "aarch64/gic.h"
#include "aarch64/psci.h"
#include "lib/fdt.h"
#include "lib/guest.h"
#include "lib/pci.h"

#define GUEST_MARK 0x10030000 /* in no table */

const struct platform_memory platform_memory = {.base = 0x40000000, .hole = UINT64_MAX};

static bool find_bridge(struct fdt_node *bridge)
{
	return fdt_find("compatible", "pci-host-ecam-generic", 0, bridge);
}

bool platform_virtio_mmio(unsigned int index, uint64_t *base, uint32_t *gsi)
{
	struct fdt_node node;

	if (!fdt_find("compatible", "virtio,mmio", index, &node))
		return false;
	*base = fdt_number(&node, "reg", 0, 2);
	*gsi = (uint32_t)fdt_number(&node, "interrupts", 1, 1);
	return true;
}

uint64_t platform_pci_ecam(void)
{
	struct fdt_node bridge;

	return find_bridge(&bridge) ? fdt_number(&bridge, "reg", 0, 2) : 0;
}

/* "ranges" (IEEE 1275 PCI bus binding, 2.2.1.1): space, PCI address, address, size. */
bool platform_pci_window(struct platform_range *window)
{
	enum {
		ENTRY = 1 + 2 + 2 + 2,
		SPACE = 3 << 24,
		SPACE_MEMORY32 = 2 << 24,
	};
	struct fdt_node bridge;
	uint32_t len;

	if (!find_bridge(&bridge))
		return false;
	fdt_property(&bridge, "ranges", &len);
	for (unsigned int at = 0; (at + ENTRY) * 4 <= len; at += ENTRY)
		if ((fdt_number(&bridge, "ranges", at, 1) & SPACE) == SPACE_MEMORY32) {
			window->base = fdt_number(&bridge, "ranges", at + 3, 2);
			window->size = fdt_number(&bridge, "ranges", at + 5, 2);
			return true;
		}
	return false;
}

/*
 * "interrupt-map": the function's address in three cells and its pin, what of them counts being in
 * "interrupt-map-mask"; the controller, an address there, and the interrupt in three.
 */
bool platform_pci_interrupt(unsigned int device, unsigned int pin, uint32_t *gsi)
{
	enum {
		PIN = 3,
		CONTROLLER_ADDRESS = 5,
		DEVICE_SHIFT = 11,
	};
	const unsigned int number = CONTROLLER_ADDRESS + gic_address_cells() + 1;
	const unsigned int entry = number + 2;
	struct fdt_node bridge;
	uint64_t address;
	uint32_t len;

	if (!find_bridge(&bridge))
		return false;
	address = device << DEVICE_SHIFT & fdt_number(&bridge, "interrupt-map-mask", 0, 1);
	fdt_property(&bridge, "interrupt-map", &len);
	for (unsigned int at = 0; (at + entry) * 4 <= len; at += entry)
		if (fdt_number(&bridge, "interrupt-map", at, 1) == address &&
		    fdt_number(&bridge, "interrupt-map", at + PIN, 1) == pin + 1) {
			*gsi = (uint32_t)fdt_number(&bridge, "interrupt-map", at + number, 1);
			return true;
		}
	return false;
}

bool platform_power_button(uint32_t *gsi, enum irq_trigger *trigger)
{
	enum {
		LEVEL_HIGH = 4, /* arm,gic-v3.yaml */
	};
	struct fdt_node button;

	if (!fdt_find("label", "Power Button", 0, &button))
		return false;
	*gsi = (uint32_t)fdt_number(&button, "interrupts", 1, 1);
	*trigger = fdt_number(&button, "interrupts", 2, 1) == LEVEL_HIGH ? IRQ_LEVEL_HIGH
									 : IRQ_EDGE_HIGH;
	return true;
}

static volatile uint8_t *pvpanic_register(void)
{
	struct fdt_node pvpanic;

	if (!fdt_find("compatible", "qemu,pvpanic-mmio", 0, &pvpanic))
		return NULL;
	return (volatile uint8_t *)fdt_number(&pvpanic, "reg", 0, 2);
}

uint8_t platform_pvpanic_events(void)
{
	return pvpanic_register() != NULL ? *pvpanic_register() : 0;
}

void platform_pvpanic(uint8_t events)
{
	*pvpanic_register() = events;
}

void platform_guest_mark(uint32_t value, unsigned int size)
{
	if (size == 1)
		*(volatile uint8_t *)GUEST_MARK = (uint8_t)value;
	else if (size == 2)
		*(volatile uint16_t *)GUEST_MARK = (uint16_t)value;
	else
		*(volatile uint32_t *)GUEST_MARK = value;
}

static void call_and_wait(enum psci_function function)
{
	psci_call(function, 0, 0, 0);
	for (deadline_t d = deadline(1000); !deadline_passed(d);)
		;
}

void platform_power_off(void)
{
	call_and_wait(PSCI_SYSTEM_OFF);
}

void platform_reset(void)
{
	call_and_wait(PSCI_SYSTEM_RESET);
}

/* There are no ports. */
uint32_t pci_port_read(uint32_t address, unsigned int offset, unsigned int size)
{
	(void)address;
	(void)offset;
	return UINT32_MAX >> (32 - 8 * size);
}

void pci_port_write(uint32_t address, unsigned int offset, unsigned int size, uint32_t value)
{
	(void)address;
	(void)offset;
	(void)size;
	(void)value;
}
