/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/irq.h"

#include "aarch64/cpu.h"
#include "aarch64/gic.h"
#include "aarch64/irq.h"
#include "aarch64/its.h"
#include "lib/guest.h"

/* A vector is the INTID of an SPI; or of an LPI, with those left out that nobody uses between. */
enum {
	FIRST_LPI = GIC_FIRST_SPECIAL,
	VECTORS = FIRST_LPI + ITS_LPIS,
};

static volatile uint32_t counts[VECTORS];

static struct handler {
	void (*call)(void *opaque);
	void *opaque;
} handlers[VECTORS];

void irq_handle(void)
{
	uint32_t intid = gic_acknowledge();
	uint32_t vector = intid < GIC_FIRST_LPI ? intid : intid - GIC_FIRST_LPI + FIRST_LPI;

	if (intid >= GIC_FIRST_SPECIAL && intid < GIC_FIRST_LPI)
		return;
	if (vector >= VECTORS)
		fatal("interrupt %u", intid);
	if (handlers[vector].call != NULL)
		handlers[vector].call(handlers[vector].opaque);
	counts[vector]++;
	gic_end(intid);
}

struct irq irq_request(uint32_t gsi, enum irq_trigger trigger)
{
	struct irq irq = {.vector = GIC_FIRST_SPI + gsi};

	if (irq.vector >= GIC_FIRST_SPECIAL)
		fatal("there is no SPI %u", gsi);
	if (trigger == IRQ_EDGE_LOW || trigger == IRQ_LEVEL_LOW)
		fatal("no SPI is active low");
	gic_init_cpu();
	gic_enable_spi(irq.vector, trigger == IRQ_EDGE_HIGH);
	return irq;
}

struct irq irq_request_level(uint32_t gsi, enum irq_trigger trigger,
			     void (*acknowledge)(void *opaque), void *opaque)
{
	/* It comes as soon as it is enabled. */
	if (gsi < GIC_FIRST_SPECIAL - GIC_FIRST_SPI)
		handlers[GIC_FIRST_SPI + gsi] = (struct handler){acknowledge, opaque};
	return irq_request(gsi, trigger);
}

bool irq_has_messages(void)
{
	return its_found();
}

struct irq irq_request_message(uint32_t requester, uint64_t *address, uint32_t *data)
{
	static uint32_t n;

	gic_init_cpu();
	its_map(requester, n, address, data);
	return (struct irq){.vector = FIRST_LPI + n++};
}

uint64_t irq_controller(void)
{
	return gic_distributor();
}

uint64_t irq_cpu_controller(void)
{
	return gic_cpu_part();
}

uint32_t irq_count(struct irq irq)
{
	return counts[irq.vector];
}

void irq_halt(struct irq irq, uint32_t seen)
{
	/* Nothing is lost between the look and the wait, which a pending interrupt ends. */
	interrupts_off();
	while (irq_count(irq) == seen) {
		wait_for_interrupt();
		interrupts_on();
		interrupts_off();
	}
	interrupts_on();
}
