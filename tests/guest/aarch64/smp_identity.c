/* SPDX-License-Identifier: Apache-2.0 */
#include "smp_identity.h"

#include "aarch64/cpu.h"
#include "lib/guest.h"
#include "lib/smp.h"

static volatile uint64_t affinities[SMP_IDENTITY_MAX];

void smp_identity_note(unsigned int cpu)
{
	affinities[cpu] = read_affinity();
}

void smp_identity_check(unsigned int cpu, unsigned int n)
{
	(void)n;
	check(affinities[cpu] == smp_hardware_id(cpu), "CPU %u: MPIDR_EL1 has %#lx, the tree %#lx",
	      cpu, affinities[cpu], smp_hardware_id(cpu));
}
