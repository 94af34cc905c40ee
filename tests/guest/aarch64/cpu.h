/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that C has no words for. */
#ifndef GUEST_AARCH64_CPU_H
#define GUEST_AARCH64_CPU_H

#include <stdint.h>

/* Of a system register, by the name that the assembler has for it. */
#define READ_REGISTER(name)                                                     \
	({                                                                      \
		uint64_t value_;                                                \
		__asm__ volatile("mrs %0, " #name : "=r"(value_) : : "memory"); \
		value_;                                                         \
	})
#define WRITE_REGISTER(name, value) \
	__asm__ volatile("msr " #name ", %0; isb" : : "r"((uint64_t)(value)) : "memory")

static inline void interrupts_on(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline void interrupts_off(void)
{
	__asm__ volatile("msr daifset, #2" : : : "memory");
}

/* An interrupt ends the wait whether they are on or off. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("dsb sy; wfi" : : : "memory");
}

/* The affinity of this CPU, as the device tree and PSCI number CPUs. */
static inline uint64_t read_affinity(void)
{
	return READ_REGISTER(mpidr_el1) & 0xff00ffffff;
}

static inline uint32_t read32(uint64_t address)
{
	return *(volatile uint32_t *)address;
}

static inline void write32(uint64_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline uint64_t read64(uint64_t address)
{
	return *(volatile uint64_t *)address;
}

static inline void write64(uint64_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

#endif
