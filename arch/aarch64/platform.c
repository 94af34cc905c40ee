/* SPDX-License-Identifier: Apache-2.0 */
/* What is where: memory, devices at their addresses. */
#include <errno.h>

#include "arch/aarch64/layout.h"
#include "arch/places.h"
#include "devices/debug_exit.h"
#include "devices/guest_mark.h"
#include "devices/pvpanic.h"
#include "devices/serial.h"
#include "vmm/core/error.h"

static const uint64_t memory_min = 32ULL << 20;
static const uint64_t memory_max = 255ULL
				   << 30; /* KVM gives 40 bits of address, if asked nothing */

int arch_memory_ranges(uint64_t size, struct memory_range ranges[MEMORY_MAX_REGIONS],
		       struct error *err)
{
	if (size < memory_min || size > memory_max || size % 4096)
		return error_usage(err, "memory of %llu bytes: need 32M to 255G in multiples of 4K",
				   (unsigned long long)size);
	ranges[0] = (struct memory_range){.base = LAYOUT_RAM, .size = size};
	return 1;
}

const struct arch_device arch_places[ARCH_DEVICE_KINDS] = {
	[ARCH_DEVICE_SERIAL] = {.base = LAYOUT_SERIAL,
				.size = SERIAL_SIZE,
				.gsi = LAYOUT_GSI_SERIAL},
	/* PSCI powers off and resets. */
	[ARCH_DEVICE_POWER] = {.gsi = LAYOUT_GSI_POWER},
	[ARCH_DEVICE_PVPANIC] = {.base = LAYOUT_PVPANIC, .size = PVPANIC_SIZE, .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_DEBUG_EXIT] = {.base = LAYOUT_DEBUG_EXIT,
				    .size = DEBUG_EXIT_SIZE,
				    .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_GUEST_MARK] = {.base = LAYOUT_GUEST_MARK,
				    .size = GUEST_MARK_SIZE,
				    .gsi = ARCH_NO_GSI},
	[ARCH_DEVICE_VIRTIO_MMIO] = {.base = LAYOUT_VIRTIO_MMIO,
				     .size = LAYOUT_MMIO_STRIDE,
				     .gsi = LAYOUT_GSI_VIRTIO_MMIO},
};

const unsigned int arch_max_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;

int arch_add_registers(struct bus *pio, struct error *err)
{
	(void)pio;
	(void)err;
	return 0;
}

void arch_place_pci(uint64_t memory_end, struct arch_pci *pci)
{
	(void)memory_end;
	*pci = (struct arch_pci){
		.places =
			{
				.ecam = {.base = LAYOUT_PCI_ECAM, .size = PCI_ECAM_SIZE},
				.windows = {{.base = LAYOUT_PCI_WINDOW,
					     .size = LAYOUT_PCI_WINDOW_SIZE}},
			},
	};
	for (uint32_t i = 0; i < 4; i++)
		pci->gsi[i] = LAYOUT_GSI_PCI + i;
}
