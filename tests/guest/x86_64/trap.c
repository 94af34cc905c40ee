/* SPDX-License-Identifier: Apache-2.0 */
#include "x86_64/trap.h"

#include "lib/guest.h"
#include "x86_64/apic.h"
#include "x86_64/idt.h"
#include "x86_64/segments.h"

/* What trap.S leaves on the stack. */
struct trap_frame {
	uint64_t r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct idt_gate idt[256];
volatile uint32_t trap_counts[256];
struct trap_handler trap_handlers[256];

extern const uint8_t trap_stubs[256][16];
extern const uint8_t ring0_gate[];
void trap(const struct trap_frame *frame); /* from trap.S */

static void set_gate(unsigned int vector, const void *handler, unsigned int ring)
{
	uintptr_t offset = (uintptr_t)handler;

	/* Intel SDM volume 3, 6.14.1: 64-bit interrupt gate (type 14), present. */
	idt[vector] = (struct idt_gate){
		.offset_low = (uint16_t)offset,
		.selector = SEL_CODE64,
		.type = (uint8_t)(0x8e | ring << 5),
		.offset_middle = (uint16_t)(offset >> 16),
		.offset_high = (uint32_t)(offset >> 32),
	};
}

void trap_init(void)
{
	for (unsigned int i = 0; i < 256; i++)
		set_gate(i, trap_stubs[i], 0);
	set_gate(VECTOR_BREAKPOINT, ring0_gate, 3);
}

static uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

void trap(const struct trap_frame *frame)
{
	if (frame->vector >= VECTOR_FIRST_IRQ) {
		if (trap_handlers[frame->vector].call != NULL)
			trap_handlers[frame->vector].call(trap_handlers[frame->vector].opaque);
		trap_counts[frame->vector]++;
		if (frame->vector != VECTOR_SPURIOUS)
			apic_end_of_interrupt();
		return;
	}
	print("exception %lu error %#lx at %#lx ring %lu stack %#lx cr2 %#lx\n", frame->vector,
	      frame->error_code, frame->rip, frame->cs & 3, frame->rsp, read_cr2());
	guest_exit(STATUS_EXCEPTION);
}
