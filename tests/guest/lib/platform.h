/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is where, as the firmware's tables tell: ACPI on x86_64, the device tree on aarch64.
 * The architecture has it.
 */
#ifndef GUEST_LIB_PLATFORM_H
#define GUEST_LIB_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/irq.h"

struct platform_range {
	uint64_t base; /* physical, in bytes, as the size */
	uint64_t size;
};

/* The @index-th device on virtio-mmio, and the GSI that it raises. False if there are fewer. */
bool platform_virtio_mmio(unsigned int index, uint64_t *base, uint32_t *gsi);

/* PCI configuration space (ECAM) from bus 0 on; 0 if there is none. */
uint64_t platform_pci_ecam(void);

/*
 * Of the first PCI host bridge: its memory window below 4 GiB; and the GSI of @pin (0: INTA) of
 * @device. False if there is none.
 */
bool platform_pci_window(struct platform_range *window);
bool platform_pci_interrupt(unsigned int device, unsigned int pin, uint32_t *gsi);

/* The interrupt that a press of the power button is. False if there is none. */
bool platform_power_button(uint32_t *gsi, enum irq_trigger *trigger);

/* The register of pvpanic (QEMU, docs/specs/pvpanic.txt): the events that it takes; 0: it isn't
 * there. */
enum {
	PVPANIC_PANICKED = 1 << 0,
};
uint8_t platform_pvpanic_events(void);
void platform_pvpanic(uint8_t events);

/* Write the low @size bytes of @value, 1, 2 or 4, to the guest-mark device. */
void platform_guest_mark(uint32_t value, unsigned int size);

/* Where memory is: from @base on; if it goes that far, not from @hole to @above, but on from there.
 */
struct platform_memory {
	uint64_t base;
	uint64_t hole; /* UINT64_MAX: there is none */
	uint64_t above;
};
extern const struct platform_memory platform_memory;

/* As a kernel does them at the end; both return if nothing happened within a second. */
void platform_power_off(void);
void platform_reset(void);

#endif
