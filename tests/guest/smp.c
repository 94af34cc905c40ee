/* SPDX-License-Identifier: Apache-2.0 */
/* All "cpus" CPUs of the MADT start, and run at once; each is the one that CPUID says it is. */
#include "lib/smp.h"
#include "lib/guest.h"
#include "x86_64/apic.h"
#include "x86_64/ring0.h"

enum {
	MAX = 32,
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

static volatile struct identity identities[MAX];
static uint32_t running;

/* Intel SDM volume 2, CPUID, leaf 0xb: levels follow each other until one has type 0. */
static void read_identity(volatile struct identity *me)
{
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

static void other_cpu(unsigned int cpu)
{
	read_identity(&identities[cpu]);
	__atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
	halt();
}

static void check_identity(unsigned int cpu, unsigned int n)
{
	struct identity is = identities[cpu];
	uint32_t id = smp_apic_id(cpu);

	check(is.apic == id, "CPU %u: local APIC has ID %u of the MADT: %u", cpu, id, is.apic);
	check(is.leaf1 == (id & 0xff), "CPU %u: CPUID 1 has ID %u", cpu, is.leaf1);
	check(is.topology == id, "CPU %u: CPUID 0xb has ID %u", cpu, is.topology);
	check(is.count == n && 1u << is.above >= n, "CPU %u: CPUID 0xb: %u CPUs in %u bits of ID",
	      cpu, is.count, is.above);
}

int main(void)
{
	unsigned int n = smp_cpus();
	unsigned int expected = (unsigned int)arg_number("cpus", 1);

	check(n == expected && n <= MAX, "the MADT has %u enabled CPUs: %u", expected, n);
	apic_init();
	read_identity(&identities[0]);
	for (unsigned int i = 1; i < n && i < MAX; i++)
		check(smp_start(i, other_cpu), "CPU %u starts", i);
	for (deadline_t d = deadline(1000);
	     __atomic_load_n(&running, __ATOMIC_ACQUIRE) < n - 1 && !deadline_passed(d);)
		;
	check(running == n - 1, "%u other CPUs ran", running);
	for (unsigned int i = 0; i < n && i < MAX; i++)
		check_identity(i, n);
	return check_done();
}
