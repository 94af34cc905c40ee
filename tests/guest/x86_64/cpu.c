/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU needs before it can leave ring 0 and come back: its task state segment, the IDT. */
#include <stdint.h>

#include "x86_64/idt.h"
#include "x86_64/segments.h"

struct tss {
	uint32_t reserved;
	uint64_t rsp[3]; /* the stack when entering ring 0, 1, 2 */
	uint64_t reserved2;
	uint64_t ist[7];
	uint64_t reserved3;
	uint16_t reserved4;
	uint16_t io_map; /* beyond the limit: there is none */
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == 104, "Intel SDM volume 3, figure 8-11");

/* In use before the BSS is cleared. */
static struct tss tss[MAX_CPUS] __attribute__((section(".noinit")));

extern uint64_t gdt[];
extern uint8_t ring0_stacks[MAX_CPUS][STACK_SIZE];
void cpu_init(unsigned int cpu); /* from head.S, in ring 0 */

void cpu_init(unsigned int cpu)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt_pointer = {sizeof(idt) - 1, (uintptr_t)idt};
	uint64_t base = (uintptr_t)&tss[cpu];
	uint64_t *descriptor = &gdt[SEL_TSS / 8 + 2 * cpu];

	tss[cpu].rsp[0] = (uintptr_t)ring0_stacks[cpu + 1];
	tss[cpu].io_map = sizeof(tss[cpu]);

	/* Intel SDM volume 3, figure 8-4: available 64-bit TSS (type 9), present. */
	descriptor[0] = (sizeof(tss[cpu]) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
			(base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * cpu));
	__asm__ volatile("lidt %0" : : "m"(idt_pointer));
}
