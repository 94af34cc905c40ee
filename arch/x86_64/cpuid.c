/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/x86_64/cpuid.h"

#define CPUID_1_ECX_X2APIC	      (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE      (1u << 24)
#define CPUID_1_ECX_HYPERVISOR	      (1u << 31)
#define CPUID_1_EDX_HTT		      (1u << 28)
#define CPUID_80000001_ECX_CMP_LEGACY (1u << 1)

enum {
	TOPOLOGY_LEVEL_SMT = 1,
	TOPOLOGY_LEVEL_CORE = 2,
};

/* How many low bits of an APIC ID tell @cpus CPUs apart. */
static unsigned int apic_id_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

static void remove_leaf(union cpuid_table *table, uint32_t function)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < table->head.nent; i++) {
		if (table->head.entries[i].function != function)
			table->head.entries[kept++] = table->head.entries[i];
	}
	table->head.nent = kept;
}

/* Extended topology (Intel SDM, CPUID leaf 0BH): threads of a core, cores of the package. */
static void add_topology_leaf(union cpuid_table *table, unsigned int index, unsigned int cpus)
{
	const struct kvm_cpuid_entry2 levels[] = {
		{.eax = 0, .ebx = 1, .ecx = TOPOLOGY_LEVEL_SMT << 8 | 0},
		{.eax = apic_id_bits(cpus), .ebx = cpus, .ecx = TOPOLOGY_LEVEL_CORE << 8 | 1},
		{.eax = 0, .ebx = 0, .ecx = 2},
	};

	for (uint32_t i = 0; i < 3 && table->head.nent < CPUID_MAX_ENTRIES; i++) {
		struct kvm_cpuid_entry2 *entry = &table->head.entries[table->head.nent++];

		*entry = levels[i];
		entry->function = 0xb;
		entry->index = i;
		entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		entry->edx = index;
	}
}

void cpuid_set_vcpu(union cpuid_table *table, unsigned int index, unsigned int cpus,
		    bool tsc_deadline)
{
	unsigned int bits = apic_id_bits(cpus);
	uint32_t ids = 1u << bits; /* APIC IDs set aside for the package */
	uint32_t max_leaf = 0;

	for (uint32_t i = 0; i < table->head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table->head.entries[i];

		switch (entry->function) {
		case 0x0:
			max_leaf = entry->eax;
			break;
		case 0x1:
			entry->ebx &= 0x0000ffff;
			entry->ebx |= index << 24 | (ids < 255 ? ids : 255) << 16;
			entry->ecx |= CPUID_1_ECX_HYPERVISOR;
			if (tsc_deadline)
				entry->ecx |= CPUID_1_ECX_TSC_DEADLINE;
			if (cpus > 1)
				entry->edx |= CPUID_1_EDX_HTT;
			else
				entry->edx &= ~CPUID_1_EDX_HTT;
			break;
		case 0x4: {
			/* Caches up to level 2 belong to a core, those above to the package. */
			uint32_t level = (entry->eax >> 5) & 7;
			uint32_t sharing = level > 2 ? ids - 1 : 0;
			uint32_t cores = ids < 64 ? ids : 64; /* all that 6 bits hold */

			if (entry->eax & 0x1f) {
				entry->eax &= 0x3fff;
				entry->eax |= sharing << 14 | (cores - 1) << 26;
			}
			break;
		}
		case 0x80000001:
			if (cpus > 1)
				entry->ecx |= CPUID_80000001_ECX_CMP_LEGACY;
			else
				entry->ecx &= ~CPUID_80000001_ECX_CMP_LEGACY;
			break;
		case 0x80000008:
			/* AMD: ApicIdSize and the number of cores. */
			entry->ecx = bits << 12 | (cpus - 1);
			break;
		case 0x8000001e:
			/* AMD: APIC ID; core ID with one thread a core; node 0. */
			entry->eax = index;
			entry->ebx = index & 0xff;
			entry->ecx = 0;
			break;
		default:
			break;
		}
	}
	/* Leaf 1FH would say the same as 0BH; guests fall back to that. */
	remove_leaf(table, 0xb);
	remove_leaf(table, 0x1f);
	if (max_leaf >= 0xb)
		add_topology_leaf(table, index, cpus);
}
