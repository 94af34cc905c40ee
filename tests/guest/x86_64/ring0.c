/* SPDX-License-Identifier: Apache-2.0 */
#include "x86_64/ring0.h"

#include "x86_64/cpu.h"

uint64_t ring0_call(ring0_function *function, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t result = (uintptr_t)function;

	if (current_ring() == 0)
		return function(a, b, c);
	/* A breakpoint, because "int n" is among the instructions that PVM can't do. trap.S. */
	__asm__ volatile("int3"
			 : "+a"(result), "+D"(a), "+S"(b), "+d"(c)
			 :
			 : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

static uint64_t do_port_read(uint64_t port, uint64_t size, uint64_t unused)
{
	uint32_t value = 0;

	(void)unused;
	switch (size) {
	case 1:
		return in8((uint16_t)port);
	case 2:
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "d"(port));
		break;
	default:
		__asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(port));
	}
	return value;
}

static uint64_t do_port_write(uint64_t port, uint64_t size, uint64_t value)
{
	switch (size) {
	case 1:
		out8((uint16_t)port, (uint8_t)value);
		break;
	case 2:
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "d"(port));
		break;
	default:
		__asm__ volatile("outl %k0, %w1" : : "a"(value), "d"(port));
	}
	return 0;
}

static uint64_t do_msr_read(uint64_t msr, uint64_t unused, uint64_t unused2)
{
	uint32_t low, high;

	(void)unused;
	(void)unused2;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static uint64_t do_msr_write(uint64_t msr, uint64_t value, uint64_t unused)
{
	(void)unused;
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"(value >> 32) : "memory");
	return 0;
}

uint32_t port_read(uint16_t port, unsigned int size)
{
	return (uint32_t)ring0_call(do_port_read, port, size, 0);
}

void port_write(uint16_t port, unsigned int size, uint32_t value)
{
	ring0_call(do_port_write, port, size, value);
}

uint64_t msr_read(uint32_t msr)
{
	return ring0_call(do_msr_read, msr, 0, 0);
}

void msr_write(uint32_t msr, uint64_t value)
{
	ring0_call(do_msr_write, msr, value, 0);
}

static uint64_t do_cpuid(uint64_t leaf, uint64_t subleaf, uint64_t result)
{
	struct cpuid *r = (struct cpuid *)result;

	__asm__ volatile("cpuid"
			 : "=a"(r->eax), "=b"(r->ebx), "=c"(r->ecx), "=d"(r->edx)
			 : "a"((uint32_t)leaf), "c"((uint32_t)subleaf));
	return 0;
}

struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid result;

	ring0_call(do_cpuid, leaf, subleaf, (uintptr_t)&result);
	return result;
}
