/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as a guest sees it: what KVM supports on this host, with the identity and topology of each
 * vCPU put in (one package, one thread a core). APIC ID = vCPU index.
 */
#ifndef ARCH_X86_64_CPUID_H
#define ARCH_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	CPUID_MAX_ENTRIES = 256,
};

/* struct kvm_cpuid2 with room for its entries. */
union cpuid_table {
	struct kvm_cpuid2 head;
	uint8_t room[sizeof(struct kvm_cpuid2) +
		     CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
};

/* Make @table, from KVM_GET_SUPPORTED_CPUID or another vCPU's, that of vCPU @index of @cpus. */
void cpuid_set_vcpu(union cpuid_table *table, unsigned int index, unsigned int cpus,
		    bool tsc_deadline);

#endif
