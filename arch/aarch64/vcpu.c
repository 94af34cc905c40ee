/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU before its first instruction: features and registers. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

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

struct arch_cpu_model {
	struct kvm_vcpu_init init;
};

int arch_cpu_model_create(const struct kvm_vm *vm, unsigned int cpus, struct arch_cpu_model **out,
			  struct error *err)
{
	struct arch_cpu_model *model = calloc(1, sizeof(*model));
	int ret;

	(void)cpus;
	*out = NULL;
	if (!model)
		return error_set(err, -ENOMEM, "out of memory");
	ret = kvm_ioctl(vm->vm_fd, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&model->init);
	if (ret) {
		free(model);
		errno = -ret;
		return error_errno(err, "KVM: asking for the CPU's type");
	}
	add_feature(&model->init, KVM_ARM_VCPU_PSCI_0_2);
	/* Only both at once can be had. */
	if (kvm_vm_check(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    kvm_vm_check(vm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		add_feature(&model->init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		add_feature(&model->init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	*out = model;
	return 0;
}

void arch_cpu_model_destroy(struct arch_cpu_model *model)
{
	free(model);
}

int arch_vcpu_init(const struct kvm_vcpu *vcpu, struct arch_cpu_model *model, struct error *err)
{
	struct kvm_vcpu_init init = model->init;
	int ret;

	/* The guest turns the others on (PSCI, CPU_ON). */
	if (vcpu->index > 0)
		add_feature(&init, KVM_ARM_VCPU_POWER_OFF);
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
