/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt descriptor table: trap.c fills it, cpu.c loads it. */
#ifndef GUEST_X86_64_IDT_H
#define GUEST_X86_64_IDT_H

#include <stdint.h>

struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t stack; /* interrupt stack table: not used */
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

_Static_assert(sizeof(struct idt_gate) == 16, "Intel SDM volume 3, figure 6-8");

extern struct idt_gate idt[256];

#endif
