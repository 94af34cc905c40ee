/* SPDX-License-Identifier: Apache-2.0 */
/* Of the guest "smp": who a CPU says that it is. The architecture has it. */
#ifndef GUEST_SMP_IDENTITY_H
#define GUEST_SMP_IDENTITY_H

enum {
	SMP_IDENTITY_MAX = 32, /* CPUs */
};

/* Note what the CPU that calls, which is @cpu of lib/smp.h, says of itself. */
void smp_identity_note(unsigned int cpu);

/* Check that what @cpu, one of @n, has noted is what the tables say. */
void smp_identity_check(unsigned int cpu, unsigned int n);

#endif
