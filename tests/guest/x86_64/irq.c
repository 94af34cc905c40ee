/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of devices, through I/O APICs (Intel 82093AA data sheet, section 3). */
#include "lib/irq.h"

#include "lib/acpi.h"
#include "lib/guest.h"
#include "x86_64/apic.h"
#include "x86_64/ring0.h"
#include "x86_64/trap.h"

enum {
	IO_APIC_SELECT = 0x00,
	IO_APIC_WINDOW = 0x10,
	IO_APIC_VERSION = 0x01,
	IO_APIC_REDIRECTION = 0x10, /* two registers per pin */
	REDIRECTION_ACTIVE_LOW = 1 << 13,
	REDIRECTION_LEVEL = 1 << 15,
	REDIRECTION_DESTINATION_SHIFT = 24, /* of the upper register */
};

static unsigned int next_vector = VECTOR_FIRST_IRQ;

static volatile uint32_t *io_apic_register(const struct acpi_madt_io_apic *apic,
					   unsigned int offset)
{
	return (volatile uint32_t *)(uintptr_t)(apic->address + offset);
}

static uint32_t io_apic_read(const struct acpi_madt_io_apic *apic, uint32_t index)
{
	*io_apic_register(apic, IO_APIC_SELECT) = index;
	return *io_apic_register(apic, IO_APIC_WINDOW);
}

static void io_apic_write(const struct acpi_madt_io_apic *apic, uint32_t index, uint32_t value)
{
	*io_apic_register(apic, IO_APIC_SELECT) = index;
	*io_apic_register(apic, IO_APIC_WINDOW) = value;
}

/* The I/O APIC that has the pin of @gsi. */
static const struct acpi_madt_io_apic *find_io_apic(uint32_t gsi)
{
	const struct acpi_madt_io_apic *apic;

	for (unsigned int i = 0;
	     (apic = acpi_madt_entry(ACPI_MADT_IO_APIC, sizeof(*apic), i)) != NULL; i++) {
		uint32_t last_pin = io_apic_read(apic, IO_APIC_VERSION) >> 16 & 0xff;

		if (gsi >= apic->gsi_base && gsi - apic->gsi_base <= last_pin)
			return apic;
	}
	fatal("ACPI: no I/O APIC has GSI %u", gsi);
}

struct irq irq_request(uint32_t gsi, enum irq_trigger trigger)
{
	const struct acpi_madt_io_apic *apic = find_io_apic(gsi);
	uint32_t pin = IO_APIC_REDIRECTION + 2 * (gsi - apic->gsi_base);
	uint32_t redirection = next_vector;

	if (trigger == IRQ_LEVEL_HIGH || trigger == IRQ_LEVEL_LOW)
		redirection |= REDIRECTION_LEVEL;
	if (trigger == IRQ_EDGE_LOW || trigger == IRQ_LEVEL_LOW)
		redirection |= REDIRECTION_ACTIVE_LOW;
	apic_init();
	io_apic_write(apic, pin + 1, apic_id() << REDIRECTION_DESTINATION_SHIFT);
	io_apic_write(apic, pin, redirection);
	return (struct irq){.vector = next_vector++};
}

struct irq irq_request_level(uint32_t gsi, enum irq_trigger trigger,
			     void (*acknowledge)(void *opaque), void *opaque)
{
	trap_handlers[next_vector] = (struct trap_handler){acknowledge, opaque};
	return irq_request(gsi, trigger);
}

/* Intel SDM volume 3, 11.11: fixed delivery, edge-triggered, to one local APIC. */
bool irq_has_messages(void)
{
	return true;
}

struct irq irq_request_message(uint32_t requester, uint64_t *address, uint32_t *data)
{
	(void)requester;
	apic_init();
	*address = APIC_MMIO | apic_id() << 12;
	*data = next_vector;
	return (struct irq){.vector = next_vector++};
}

/* Where PCs have them. */
uint64_t irq_controller(void)
{
	return 0xfec00000;
}

uint64_t irq_cpu_controller(void)
{
	return APIC_MMIO;
}

uint32_t irq_count(struct irq irq)
{
	return trap_counts[irq.vector];
}

/* Nothing is lost between the look and the halt: sti takes effect after the next instruction. */
static uint64_t do_halt_until(uint64_t vector, uint64_t seen, uint64_t unused)
{
	(void)unused;
	while (trap_counts[vector] == seen)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	return 0;
}

void irq_halt(struct irq irq, uint32_t seen)
{
	ring0_call(do_halt_until, irq.vector, seen, 0);
}
