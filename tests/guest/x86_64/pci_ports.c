/* SPDX-License-Identifier: Apache-2.0 */
/* PCI configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2). */
#include "lib/pci.h"
#include "x86_64/ring0.h"

enum {
	PORT_ADDRESS = 0xcf8,
	PORT_DATA = 0xcfc,
};

uint32_t pci_port_read(uint32_t address, unsigned int offset, unsigned int size)
{
	port_write(PORT_ADDRESS, 4, address);
	return port_read((uint16_t)(PORT_DATA + offset % 4), size);
}

void pci_port_write(uint32_t address, unsigned int offset, unsigned int size, uint32_t value)
{
	port_write(PORT_ADDRESS, 4, address);
	port_write((uint16_t)(PORT_DATA + offset % 4), size, value);
}
