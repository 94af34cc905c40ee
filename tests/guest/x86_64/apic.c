/* SPDX-License-Identifier: Apache-2.0 */
#include "x86_64/apic.h"

#include "x86_64/cpu.h"
#include "x86_64/ring0.h"
#include "x86_64/trap.h"

enum {
	MSR_APIC_BASE = 0x1b,
	MSR_X2APIC = 0x800,
	APIC_BASE_ENABLE = 1 << 11,
	APIC_BASE_EXTENDED = 1 << 10,
	CPUID_1_ECX_X2APIC = 1 << 21,
};

/* The same for all CPUs. */
static int extended;

static uint64_t apic_read(enum apic_register offset)
{
	if (extended)
		return msr_read(MSR_X2APIC + offset / 16);
	return *(volatile uint32_t *)(uintptr_t)(APIC_MMIO + offset);
}

static void apic_write(enum apic_register offset, uint64_t value)
{
	if (extended)
		msr_write(MSR_X2APIC + offset / 16, value);
	else
		*(volatile uint32_t *)(uintptr_t)(APIC_MMIO + offset) = (uint32_t)value;
}

void apic_init(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	extended = !!(cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC);
	msr_write(MSR_APIC_BASE, base);
	if (extended)
		msr_write(MSR_APIC_BASE, base | APIC_BASE_EXTENDED);
	apic_write(APIC_SPURIOUS, APIC_SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

uint32_t apic_id(void)
{
	return (uint32_t)(extended ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24);
}

void apic_send(uint32_t id, uint32_t command)
{
	if (extended) {
		apic_write(APIC_ICR, (uint64_t)id << 32 | command);
	} else {
		apic_write(APIC_ICR_HIGH, id << 24);
		apic_write(APIC_ICR, command);
	}
}

void apic_end_of_interrupt(void)
{
	apic_write(APIC_EOI, 0);
}
