/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests run in ring 3, because KVM's PVM back end runs that natively and emulates ring 0 one
 * instruction at a time. What only ring 0 may do is a function that ring0_call() has executed
 * there, with interrupts off. It takes 50 us on PVM: do much in one call.
 */
#ifndef GUEST_X86_64_RING0_H
#define GUEST_X86_64_RING0_H

#include <stdint.h>

typedef uint64_t ring0_function(uint64_t a, uint64_t b, uint64_t c);

/* Call @function in ring 0, from ring 3 or from ring 0 itself. */
uint64_t ring0_call(ring0_function *function, uint64_t a, uint64_t b, uint64_t c);

/* Shorthands for single instructions, from either ring. @size is in bytes: 1, 2 or 4. */
uint32_t port_read(uint16_t port, unsigned int size);
void port_write(uint16_t port, unsigned int size, uint32_t value);
uint64_t msr_read(uint32_t msr);
void msr_write(uint32_t msr, uint64_t value);

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

/*
 * Any ring may execute it, but under PVM on a CPU without CPUID faulting (AMD's) only
 * ring 0 gets KVM's answer; ring 3 gets the host's.
 */
struct cpuid cpuid(uint32_t leaf, uint32_t subleaf);

/* For functions that are in ring 0 already. */
static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

#endif
