/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs other than the one that booted. */
#ifndef GUEST_LIB_SMP_H
#define GUEST_LIB_SMP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The number of CPUs that can be used, as the MADT or the device tree lists them, and how the
 * hardware numbers them, in that order: APIC ID, MPIDR_EL1's affinity.
 */
unsigned int smp_cpus(void);
uint64_t smp_hardware_id(unsigned int cpu);

/*
 * Start @cpu (INIT and SIPI, PSCI's CPU_ON), and have it run @function, which must not return.
 * False if it does not start within a second.
 */
bool smp_start(unsigned int cpu, void (*function)(unsigned int cpu));

#endif
