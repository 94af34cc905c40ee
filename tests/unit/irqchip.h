/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real VM with one vCPU that never runs: what reaches its local APIC and its IOAPIC can be looked
 * at. For tests of what goes through KVM; on a machine without it they are skipped.
 */
#ifndef TESTS_UNIT_IRQCHIP_H
#define TESTS_UNIT_IRQCHIP_H

#include <check.h>
#include <string.h>
#include <time.h>

#include "arch/arch.h"
#include "vmm/core/error.h"
#include "vmm/core/kvm.h"

struct irqchip {
	struct kvm_vm vm;
	struct kvm_vcpu vcpu;
};

enum {
	APIC_SPURIOUS = 0xf0,
	APIC_IRR = 0x200,
	APIC_ENABLED = 0x100,
};

/* False where there is no KVM. */
static inline bool irqchip_create(struct irqchip *chip)
{
	struct kvm_lapic_state lapic;
	uint32_t spurious = APIC_ENABLED | 0xff;
	struct error err;

	if (kvm_vm_create(&chip->vm, &err))
		return false;
	ck_assert_int_eq(arch_vm_init(&chip->vm, &err), 0);
	ck_assert_int_eq(kvm_vcpu_create(&chip->vm, 0, &chip->vcpu, &err), 0);
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_GET_LAPIC, (uintptr_t)&lapic), 0);
	memcpy(lapic.regs + APIC_SPURIOUS, &spurious, sizeof(spurious));
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_SET_LAPIC, (uintptr_t)&lapic), 0);
	return true;
}

static inline void irqchip_destroy(struct irqchip *chip)
{
	kvm_vcpu_destroy(&chip->vcpu);
	kvm_vm_destroy(&chip->vm);
}

/* Is interrupt @vector there, for the vCPU to take? Takes it. */
static inline bool irqchip_take(struct irqchip *chip, uint8_t vector)
{
	struct kvm_lapic_state lapic;
	uint32_t bits;
	char *at = lapic.regs + APIC_IRR + vector / 32 * 16;

	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_GET_LAPIC, (uintptr_t)&lapic), 0);
	memcpy(&bits, at, sizeof(bits));
	if (!(bits >> vector % 32 & 1))
		return false;
	bits &= ~(1u << vector % 32);
	memcpy(at, &bits, sizeof(bits));
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_SET_LAPIC, (uintptr_t)&lapic), 0);
	return true;
}

/* Is the IOAPIC's pin asserted? */
static inline bool irqchip_pin(struct irqchip *chip, uint32_t pin)
{
	struct kvm_irqchip state = {.chip_id = KVM_IRQCHIP_IOAPIC};

	ck_assert_int_eq(kvm_ioctl(chip->vm.vm_fd, KVM_GET_IRQCHIP, (uintptr_t)&state), 0);
	return state.chip.ioapic.irr >> pin & 1;
}

/* KVM may inject from a kernel thread: so look for it, until it is there or 10 s are over. */
#define irqchip_eventually(condition)                                           \
	do {                                                                    \
		time_t end_ = time(NULL) + 10;                                  \
		bool is_;                                                       \
		while (!(is_ = (condition)) && time(NULL) < end_)               \
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL); \
		ck_assert_msg(is_, "never came: %s", #condition);               \
	} while (0)

#endif
