/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/pci.h"

#include "lib/guest.h"
#include "lib/paging.h"
#include "lib/platform.h"

enum {
	ECAM_BUS_SIZE = 1 << 20,
	ECAM_FUNCTION_SHIFT = 12,
	NO_FUNCTION = 0xffff, /* as a vendor */
	DEVICES = 32,
	FUNCTIONS = 8,
	BAR_IO = 1 << 0,
	BAR_64 = 1 << 2,
	BAR_FLAGS = 0xf, /* of a BAR in memory */
};

/* --- configuration space --- */

static uintptr_t ecam_base(void)
{
	static uint64_t base;
	static bool looked;

	if (looked)
		return base;
	looked = true;
	base = platform_pci_ecam();
	if (base == 0)
		base = arg_number("ecam", 0);
	if (base != 0)
		map_identity(base, ECAM_BUS_SIZE, true);
	return base;
}

static volatile void *ecam_address(const struct pci_function *function, unsigned int offset)
{
	unsigned int number = function->device * (unsigned int)FUNCTIONS + function->function;

	return (volatile void *)(ecam_base() + ((uintptr_t)number << ECAM_FUNCTION_SHIFT) + offset);
}

static uint32_t port_address(const struct pci_function *function, unsigned int offset)
{
	return 1u << 31 | (uint32_t)function->device << 11 | (uint32_t)function->function << 8 |
	       (offset & 0xfc);
}

bool pci_ecam_read(const struct pci_function *function, unsigned int offset, unsigned int size,
		   uint32_t *value)
{
	const volatile void *at = ecam_address(function, offset);

	if (ecam_base() == 0)
		return false;
	if (size == 1)
		*value = *(const volatile uint8_t *)at;
	else if (size == 2)
		*value = *(const volatile uint16_t *)at;
	else
		*value = *(const volatile uint32_t *)at;
	return true;
}

uint32_t pci_ports_read(const struct pci_function *function, unsigned int offset, unsigned int size)
{
	return pci_port_read(port_address(function, offset), offset, size);
}

static bool by_ports(void)
{
	return arg_is("pci", "ports") || ecam_base() == 0;
}

uint32_t pci_read(const struct pci_function *function, unsigned int offset, unsigned int size)
{
	uint32_t value;

	if (by_ports() || !pci_ecam_read(function, offset, size, &value))
		return pci_ports_read(function, offset, size);
	return value;
}

void pci_write(const struct pci_function *function, unsigned int offset, unsigned int size,
	       uint32_t value)
{
	volatile void *at = ecam_address(function, offset);

	if (by_ports())
		pci_port_write(port_address(function, offset), offset, size, value);
	else if (size == 1)
		*(volatile uint8_t *)at = (uint8_t)value;
	else if (size == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)at = value;
}

/* --- discovery --- */

static bool is_there(const struct pci_function *function)
{
	return pci_read(function, PCI_VENDOR, 2) != NO_FUNCTION;
}

static bool has_more_functions(const struct pci_function *function)
{
	const struct pci_function zero = {.device = function->device};

	return is_there(&zero) && pci_read(&zero, PCI_HEADER_TYPE, 1) & PCI_HEADER_MULTI_FUNCTION;
}

bool pci_next(struct pci_function *function, bool first)
{
	if (first)
		*function = (struct pci_function){.device = 0};
	else
		function->function++;
	for (; function->device < DEVICES; function->device++, function->function = 0)
		for (; function->function < FUNCTIONS; function->function++) {
			if (function->function == 1 && !has_more_functions(function))
				break;
			if (is_there(function))
				return true;
		}
	return false;
}

unsigned int pci_find_capability(const struct pci_function *function, enum pci_capability id,
				 unsigned int after)
{
	unsigned int at = after != 0 ? after + 1 : PCI_CAPABILITIES;

	if (!(pci_read(function, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	/* As many as there is room for: a list that goes round must end. */
	for (int i = 0; i < 48; i++) {
		unsigned int next = pci_read(function, at, 1) & 0xfc;

		if (next == 0 || pci_read(function, next, 1) == id)
			return next;
		at = next + 1;
	}
	fatal("PCI device %u: its list of capabilities does not end", function->device);
}

/* --- memory --- */

/* Room for BARs that nobody has given an address to. */
static uint64_t allocate(uint64_t size)
{
	static struct platform_range window;
	static uint64_t used;

	if (window.size == 0 && !platform_pci_window(&window))
		fatal("PCI: a BAR has no address, and the host bridge no window for it");
	used = (used + size - 1) / size * size;
	if (size > window.size - used)
		fatal("PCI: the host bridge's window of %#lx bytes is full", window.size);
	used += size;
	return window.base + used - size;
}

static uint64_t read_bar(const struct pci_function *function, unsigned int bar, bool wide)
{
	uint64_t value = pci_read(function, PCI_BAR0 + 4 * bar, 4) & ~(uint32_t)BAR_FLAGS;

	if (wide)
		value |= (uint64_t)pci_read(function, PCI_BAR0 + 4 * bar + 4, 4) << 32;
	return value;
}

static void write_bar(const struct pci_function *function, unsigned int bar, bool wide,
		      uint64_t value)
{
	pci_write(function, PCI_BAR0 + 4 * bar, 4, (uint32_t)value);
	if (wide)
		pci_write(function, PCI_BAR0 + 4 * bar + 4, 4, (uint32_t)(value >> 32));
}

/* 6.2.5.1. Decoding is off. */
static void size_bar(const struct pci_function *function, unsigned int bar, bool wide,
		     struct pci_bar *result)
{
	uint64_t base = read_bar(function, bar, wide);
	uint64_t mask;

	write_bar(function, bar, wide, UINT64_MAX);
	mask = read_bar(function, bar, wide);
	if (mask == 0)
		return;
	result->size = wide ? -mask : (uint32_t)-mask;
	result->base = base != 0 ? base : allocate(result->size);
	write_bar(function, bar, wide, result->base);
}

void pci_enable(struct pci_function *function)
{
	uint32_t command = pci_read(function, PCI_COMMAND, 2);

	pci_write(function, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		uint32_t flags = pci_read(function, PCI_BAR0 + 4 * bar, 4) & BAR_FLAGS;
		bool wide = flags & BAR_64;

		if (flags & BAR_IO)
			continue;
		size_bar(function, bar, wide, &function->bars[bar]);
		if (function->bars[bar].size != 0)
			map_identity(function->bars[bar].base, function->bars[bar].size, true);
		bar += wide;
	}
	pci_write(function, PCI_COMMAND, 2,
		  command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

/* --- interrupts --- */

uint32_t pci_intx_gsi(const struct pci_function *function)
{
	unsigned int pin = pci_read(function, PCI_INTERRUPT_PIN, 1);
	uint32_t gsi;

	if (pin == 0)
		fatal("PCI device %u has no interrupt pin", function->device);
	if (!platform_pci_interrupt(function->device, pin - 1, &gsi))
		gsi = (uint32_t)arg_number("intx", 0);
	if (gsi == 0)
		fatal("PCI device %u: nothing says where its interrupt goes", function->device);
	return gsi;
}
