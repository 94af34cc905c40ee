/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs other than the one that booted. */
#ifndef GUEST_LIB_SMP_H
#define GUEST_LIB_SMP_H

#include <stdbool.h>
#include <stdint.h>

/* The number of enabled CPUs in the MADT, and their APIC IDs in its order. */
unsigned int smp_cpus(void);
uint32_t smp_apic_id(unsigned int cpu);

/*
 * Start @cpu with INIT and SIPI, and have it run @function in ring 3, which must not return.
 * False if it does not start within a second.
 */
bool smp_start(unsigned int cpu, void (*function)(unsigned int cpu));

#endif
