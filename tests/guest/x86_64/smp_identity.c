/* SPDX-License-Identifier: Apache-2.0 */
#include "smp_identity.h"

#include "lib/guest.h"
#include "lib/smp.h"
#include "x86_64/apic.h"
#include "x86_64/ring0.h"

enum {
	LEAF_TOPOLOGY = 0x0b,
	LEVEL_TYPE_SHIFT = 8, /* of ECX */
};

struct identity {
	uint32_t apic;	   /* the local APIC itself */
	uint32_t leaf1;	   /* CPUID 1: initial APIC ID */
	uint32_t topology; /* CPUID 0xb: x2APIC ID */
	uint32_t above;	   /* APIC ID bits that differ between CPUs of one package */
	uint32_t count;	   /* CPUs of one package */
};

static volatile struct identity identities[SMP_IDENTITY_MAX];

/* Intel SDM volume 2, CPUID, leaf 0xb: levels follow each other until one has type 0. */
void smp_identity_note(unsigned int cpu)
{
	volatile struct identity *me = &identities[cpu];

	apic_init();
	me->apic = apic_id();
	me->leaf1 = cpuid(1, 0).ebx >> 24;
	for (uint32_t level = 0; level < 8; level++) {
		struct cpuid leaf = cpuid(LEAF_TOPOLOGY, level);

		if ((leaf.ecx >> LEVEL_TYPE_SHIFT & 0xff) == 0)
			break;
		me->topology = leaf.edx;
		me->above = leaf.eax & 0x1f;
		me->count = leaf.ebx & 0xffff;
	}
}

void smp_identity_check(unsigned int cpu, unsigned int n)
{
	struct identity is = identities[cpu];
	uint32_t id = (uint32_t)smp_hardware_id(cpu);

	check(is.apic == id, "CPU %u: local APIC has ID %u of the MADT: %u", cpu, id, is.apic);
	check(is.leaf1 == (id & 0xff), "CPU %u: CPUID 1 has ID %u", cpu, is.leaf1);
	check(is.topology == id, "CPU %u: CPUID 0xb has ID %u", cpu, is.topology);
	check(is.count == n && 1u << is.above >= n, "CPU %u: CPUID 0xb: %u CPUs in %u bits of ID",
	      cpu, is.count, is.above);
}
