/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU before its first instruction: features and registers. */
#include <errno.h>
#include <stddef.h>

#include "arch/arch.h"
#include "vmm/core/error.h"

#define CORE_REG(field)                                        \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 (offsetof(struct kvm_regs, regs.field) / sizeof(uint32_t)))

static int fail(struct error *err, int ret, const struct kvm_vcpu *vcpu, const char *what)
{
	errno = -ret;
	return error_errno(err, "KVM: vCPU %u: %s", vcpu->index, what);
}

static void add_feature(struct kvm_vcpu_init *init, unsigned int feature)
{
	init->features[feature / 32] |= 1u << feature % 32;
}

int arch_vcpu_init(const struct kvm_vm *vm, const struct kvm_vcpu *vcpu, unsigned int cpus,
		   struct error *err)
{
	struct kvm_vcpu_init init;
	int ret = kvm_ioctl(vm->vm_fd, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init);

	(void)cpus;
	if (ret)
		return fail(err, ret, vcpu, "asking for the CPU's type");
	add_feature(&init, KVM_ARM_VCPU_PSCI_0_2);
	/* The guest turns the others on (PSCI, CPU_ON). */
	if (vcpu->index > 0)
		add_feature(&init, KVM_ARM_VCPU_POWER_OFF);
	/* Only both at once can be had. */
	if (kvm_vm_check(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    kvm_vm_check(vm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		add_feature(&init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		add_feature(&init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	ret = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, (uintptr_t)&init);
	return ret ? fail(err, ret, vcpu, "setting the CPU features") : 0;
}

static int set_register(const struct kvm_vcpu *vcpu, uint64_t id, uint64_t value)
{
	const struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return kvm_ioctl(vcpu->fd, KVM_SET_ONE_REG, (uintptr_t)&reg);
}

/* As KVM resets it the vCPU is at EL1 with interrupts masked and the MMU off: booting.rst's. */
int arch_vcpu_set_entry(const struct kvm_vcpu *vcpu, const struct guest_memory *mem,
			const struct arch_entry *entry, struct error *err)
{
	int ret = set_register(vcpu, CORE_REG(pc), entry->entry.value);

	(void)mem;
	if (!ret)
		ret = set_register(vcpu, CORE_REG(regs[0]), entry->params.value);
	return ret ? fail(err, ret, vcpu, "setting the registers") : 0;
}
