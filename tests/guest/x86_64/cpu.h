/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions. Those that any ring may execute; ring0.h has the others. */
#ifndef GUEST_X86_64_CPU_H
#define GUEST_X86_64_CPU_H

#include <stdint.h>

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline unsigned int current_ring(void)
{
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

#endif
