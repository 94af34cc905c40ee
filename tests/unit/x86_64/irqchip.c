/* SPDX-License-Identifier: Apache-2.0 */
/* By the registers of the local APIC and the IOAPIC. */
#include "tests/unit/irqchip.h"

#include <string.h>

#include "arch/arch.h"
#include "vmm/core/error.h"

enum {
	APIC_SPURIOUS = 0xf0,
	APIC_IRR = 0x200,
	APIC_ENABLED = 0x100,
};

const uint32_t irqchip_msi_address = 0xfee00000;

bool irqchip_create(struct irqchip *chip)
{
	struct kvm_lapic_state lapic;
	uint32_t spurious = APIC_ENABLED | 0xff;
	struct error err;

	if (kvm_vm_open(&chip->vm, &err) || kvm_vm_create(&chip->vm, &err))
		return false;
	ck_assert_int_eq(arch_vm_init(&chip->vm, &err), 0);
	ck_assert_int_eq(kvm_vcpu_create(&chip->vm, 0, &chip->vcpu, &err), 0);
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_GET_LAPIC, (uintptr_t)&lapic), 0);
	memcpy(lapic.regs + APIC_SPURIOUS, &spurious, sizeof(spurious));
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_SET_LAPIC, (uintptr_t)&lapic), 0);
	return true;
}

void irqchip_destroy(struct irqchip *chip)
{
	kvm_vcpu_destroy(&chip->vcpu);
	kvm_vm_destroy(&chip->vm);
}

bool irqchip_take(struct irqchip *chip, uint8_t number)
{
	struct kvm_lapic_state lapic;
	uint32_t bits;
	char *at = lapic.regs + APIC_IRR + number / 32 * 16;

	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_GET_LAPIC, (uintptr_t)&lapic), 0);
	memcpy(&bits, at, sizeof(bits));
	if (!(bits >> number % 32 & 1))
		return false;
	bits &= ~(1u << number % 32);
	memcpy(at, &bits, sizeof(bits));
	ck_assert_int_eq(kvm_ioctl(chip->vcpu.fd, KVM_SET_LAPIC, (uintptr_t)&lapic), 0);
	return true;
}

bool irqchip_pin(struct irqchip *chip, uint32_t gsi)
{
	struct kvm_irqchip state = {.chip_id = KVM_IRQCHIP_IOAPIC};

	ck_assert_int_eq(kvm_ioctl(chip->vm.vm_fd, KVM_GET_IRQCHIP, (uintptr_t)&state), 0);
	return state.chip.ioapic.irr >> gsi & 1;
}
