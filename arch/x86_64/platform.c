/* SPDX-License-Identifier: Apache-2.0 */
/* What is where: memory around the hole, devices at their addresses. */
#include <cpuid.h>
#include <errno.h>

#include "arch/places.h"
#include "arch/x86_64/layout.h"
#include "devices/acpi_pm.h"
#include "devices/debug_exit.h"
#include "devices/guest_mark.h"
#include "devices/pvpanic.h"
#include "devices/serial.h"
#include "vmm/core/error.h"

static const uint64_t memory_min = 32ULL << 20;
static const uint64_t memory_max = 1ULL << 40; /* what the smallest 64-bit CPUs can address */

int arch_memory_ranges(uint64_t size, struct memory_range ranges[MEMORY_MAX_REGIONS],
		       struct error *err)
{
	if (size < memory_min || size > memory_max || size % 4096)
		return error_usage(err,
				   "memory of %llu bytes: need 32M to 1024G in multiples of 4K",
				   (unsigned long long)size);
	ranges[0] = (struct memory_range){.base = 0, .size = size};
	if (size <= LAYOUT_HOLE)
		return 1;
	ranges[0].size = LAYOUT_HOLE;
	ranges[1] = (struct memory_range){.base = LAYOUT_HOLE_END, .size = size - LAYOUT_HOLE};
	return 2;
}

const struct arch_device arch_places[ARCH_DEVICE_KINDS] = {
	[ARCH_DEVICE_SERIAL] = {.pio = true,
				.base = LAYOUT_PORT_SERIAL,
				.size = SERIAL_SIZE,
				.gsi = LAYOUT_GSI_SERIAL},
	[ARCH_DEVICE_POWER] = {.pio = true,
			       .base = LAYOUT_PORT_ACPI_PM,
			       .size = ACPI_PM_SIZE,
			       .gsi = LAYOUT_GSI_ACPI_PM,
			       .level = true},
	[ARCH_DEVICE_PVPANIC] = {.pio = true,
				 .base = LAYOUT_PORT_PVPANIC,
				 .size = PVPANIC_SIZE,
				 .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_DEBUG_EXIT] = {.pio = true,
				    .base = LAYOUT_PORT_DEBUG_EXIT,
				    .size = DEBUG_EXIT_SIZE,
				    .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_GUEST_MARK] = {.pio = true,
				    .base = LAYOUT_PORT_GUEST_MARK,
				    .size = GUEST_MARK_SIZE,
				    .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_VIRTIO_MMIO] = {.base = LAYOUT_VIRTIO_MMIO,
				     .size = LAYOUT_MMIO_STRIDE,
				     .gsi = LAYOUT_GSI_VIRTIO_MMIO},
};

/*
 * Bits 6 and 7 tell what an NMI is for: of the bus, of a parity error. Ours (arch_vm_inject_nmi())
 * are for neither, and a kernel takes them as it was told to take unknown ones. The other bits are
 * of a timer and a speaker that aren't there, and read so.
 */
static void nmi_status_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	(void)device;
	(void)offset;
	(void)len; /* 1: the range has no more */
	data[0] = 0x3f;
}

static void nmi_status_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	(void)device;
	(void)offset;
	(void)data;
	(void)len;
}

int arch_add_registers(struct bus *pio, struct error *err)
{
	static const struct bus_ops nmi_status_ops = {
		.read = nmi_status_read,
		.write = nmi_status_write,
	};
	const struct bus_range nmi_status = {
		.base = LAYOUT_PORT_NMI_STATUS,
		.size = 1,
		.ops = &nmi_status_ops,
	};

	return bus_add(pio, &nmi_status, err);
}

const unsigned int arch_max_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;

/* The first address that the CPU can't form. */
static uint64_t address_end(void)
{
	unsigned int eax, ebx, ecx, edx;
	unsigned int bits = 36;

	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx) && (eax & 0xff) < 64)
		bits = eax & 0xff;
	return 1ULL << bits;
}

void arch_place_pci(uint64_t memory_end, struct arch_pci *pci)
{
	const uint64_t size = LAYOUT_PCI_HIGH_SIZE;
	struct memory_range high = {.base = (memory_end + size - 1) / size * size, .size = size};

	/* Where the CPU can't reach it there is none; what needs to be is in the other one. */
	if (high.base + high.size > address_end())
		high = (struct memory_range){0};
	*pci = (struct arch_pci){
		.places =
			{
				.ecam = {.base = LAYOUT_PCI_ECAM, .size = PCI_ECAM_SIZE},
				.port = LAYOUT_PORT_PCI,
				.windows = {{.base = LAYOUT_PCI_WINDOW,
					     .size = LAYOUT_PCI_WINDOW_SIZE},
					    high},
			},
	};
	for (uint32_t i = 0; i < 4; i++)
		pci->gsi[i] = LAYOUT_GSI_PCI + i;
}
