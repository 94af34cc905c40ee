/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC (Intel SDM volume 3, chapter 11), in x2APIC mode where the CPU has it. */
#ifndef GUEST_X86_64_APIC_H
#define GUEST_X86_64_APIC_H

#include <stdint.h>

#define APIC_MMIO 0xfee00000u /* where it is, and where messages go to */

enum apic_register { /* offsets of xAPIC mode; x2APIC has MSR 0x800 + offset / 16 */
	APIC_ID = 0x020,
	APIC_VERSION = 0x030,
	APIC_EOI = 0x0b0,
	APIC_SPURIOUS = 0x0f0,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310, /* xAPIC only */
};

enum {
	APIC_SPURIOUS_ENABLE = 1 << 8,
	APIC_ICR_INIT = 0x4500,
	APIC_ICR_STARTUP = 0x4600,
	APIC_ICR_FIXED = 0x4000,
};

/* Enable the local APIC of the CPU that calls. */
void apic_init(void);

uint32_t apic_id(void);
void apic_send(uint32_t apic_id, uint32_t command);

/* In ring 0. */
void apic_end_of_interrupt(void);

#endif
