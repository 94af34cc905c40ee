/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of devices. They are counted; the guest watches the count. */
#ifndef GUEST_LIB_IRQ_H
#define GUEST_LIB_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq {
	unsigned int vector;
};

enum irq_trigger {
	IRQ_EDGE_HIGH,
	IRQ_EDGE_LOW,
	IRQ_LEVEL_HIGH,
	IRQ_LEVEL_LOW,
};

/* Route interrupt @gsi (ACPI's numbering; on aarch64 an SPI) to this CPU. */
struct irq irq_request(uint32_t gsi, enum irq_trigger trigger);

/*
 * The same for one that stays asserted until something was done about it: @acknowledge, which is
 * called each time with interrupts off, on x86 in ring 0.
 */
struct irq irq_request_level(uint32_t gsi, enum irq_trigger trigger,
			     void (*acknowledge)(void *opaque), void *opaque);

/* Whether there are message-signalled ones. */
bool irq_has_messages(void);

/*
 * One of these: raised when the PCI function with this requester ID writes *@data to
 * *@address (PCI 3.0, 6.8).
 */
struct irq irq_request_message(uint32_t requester, uint64_t *address, uint32_t *data);

/* Where the registers of the interrupt controller are, and those of this CPU's own part of it. */
uint64_t irq_controller(void);
uint64_t irq_cpu_controller(void);

/* How often it came. */
uint32_t irq_count(struct irq irq);

/* Wait until it has come more than @seen times, running. False when @milliseconds have passed. */
bool irq_wait(struct irq irq, uint32_t seen, unsigned int milliseconds);

/* Halt the CPU until it has come more than @seen times. */
void irq_halt(struct irq irq, uint32_t seen);

#endif
