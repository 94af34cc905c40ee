/* SPDX-License-Identifier: Apache-2.0 */
/* A Linux guest of KVM finds what it needs to run well. */
#include "lib/guest.h"
#include "lib/string.h"
#include "x86_64/cpu.h"
#include "x86_64/ring0.h"

enum {
	LEAF_KVM = 0x40000000, /* Linux, Documentation/virt/kvm/x86/cpuid.rst */
	KVM_FEATURE_CLOCKSOURCE2 = 1 << 3,
	KVM_FEATURE_CLOCKSOURCE_STABLE = 1 << 24,
	MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01, /* Linux, Documentation/virt/kvm/x86/msr.rst */
};

struct kvm_clock {
	uint32_t version; /* odd while it is being changed */
	uint32_t reserved;
	uint64_t tsc;
	uint64_t nanoseconds;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags;
	uint8_t reserved2[2];
};

static void check_features(void)
{
	struct cpuid leaf1 = cpuid(1, 0);
	struct cpuid leaf_b = cpuid(0x0b, 0);

	check(leaf1.ecx & 1u << 31, "CPUID 1: hypervisor");
	check(leaf1.ecx & 1u << 21, "CPUID 1: x2APIC");
	check(leaf1.ecx & 1u << 24, "CPUID 1: TSC deadline timer");
	check(cpuid(0, 0).eax >= 0x0b && leaf_b.ebx != 0, "CPUID 0xb: topology");
}

static void check_kvm(void)
{
	struct cpuid kvm = cpuid(LEAF_KVM, 0);
	uint32_t features = cpuid(LEAF_KVM + 1, 0).eax;

	check(memcmp(&kvm.ebx, "KVMKVMKVM\0\0\0", 12) == 0 && kvm.eax >= LEAF_KVM + 1,
	      "CPUID 0x40000000: KVM");
	check(features & KVM_FEATURE_CLOCKSOURCE2, "CPUID 0x40000001: kvm-clock");
	check(features & KVM_FEATURE_CLOCKSOURCE_STABLE, "CPUID 0x40000001: stable kvm-clock");
}

static void check_kvm_clock(void)
{
	volatile struct kvm_clock *clock = alloc_pages(sizeof(*clock));

	msr_write(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)clock | 1);
	check(clock->version != 0 && clock->version % 2 == 0 && clock->multiplier != 0,
	      "kvm-clock runs: version %u multiplier %#x shift %d", clock->version,
	      clock->multiplier, clock->shift);
	check(read_tsc() >= clock->tsc, "kvm-clock's TSC is not of the future");
	msr_write(MSR_KVM_SYSTEM_TIME_NEW, 0);
}

int main(void)
{
	check_features();
	check_kvm();
	check_kvm_clock();
	return check_done();
}
