/* SPDX-License-Identifier: Apache-2.0 */
/* The VM as a whole: KVM's in-kernel PIC, IOAPIC and local APICs. */
#include <cpuid.h>
#include <errno.h>

#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "vmm/core/error.h"

#define CPUID_1_ECX_VMX	       (1u << 5)
#define CPUID_80000001_ECX_SVM (1u << 2)

enum {
	MSI_DELIVERY_NMI = 4 << 8,
};

unsigned int arch_max_cpus(void)
{
	/* An APIC ID of one byte, 255 being the broadcast. */
	return 255;
}

/* As KVM has it at first: GSI n is pin n of the IOAPIC, and the first 16 are the PICs' too. */
static unsigned int irqchip_routes(struct kvm_irq_routing_entry *entries)
{
	unsigned int n = 0;

	for (uint32_t gsi = 0; gsi < LAYOUT_IOAPIC_PINS; gsi++) {
		entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi},
		};
		if (gsi >= 16)
			continue;
		entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER
							 : KVM_IRQCHIP_PIC_SLAVE,
				      .pin = gsi % 8},
		};
	}
	return n;
}

int arch_vm_init(struct kvm_vm *vm, struct error *err)
{
	static const int needed[] = {KVM_CAP_IRQCHIP, KVM_CAP_IOEVENTFD, KVM_CAP_IRQFD,
				     KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_USER_MEMORY};
	uint64_t identity_map = LAYOUT_IDENTITY_MAP;
	int ret;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!kvm_vm_check(vm, needed[i]))
			return error_set(err, -ENOTSUP,
					 "/dev/kvm: this KVM is too old: capability %d is missing",
					 needed[i]);
	}
	ret = kvm_ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&identity_map);
	if (!ret)
		ret = kvm_ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS);
	if (!ret)
		ret = kvm_ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0);
	if (ret) {
		errno = -ret;
		return error_errno(err, "KVM: creating the interrupt controllers");
	}
	vm->irqchip_routes = irqchip_routes;
	vm->first_msi_gsi = LAYOUT_IOAPIC_PINS;
	return 0;
}

int arch_vm_complete(struct kvm_vm *vm, struct error *err)
{
	(void)vm;
	(void)err;
	return 0;
}

/*
 * As a message (Intel SDM volume 3, 11.11) to the APIC ID 0, which is the first vCPU's: so it comes
 * whatever the guest has made of its APIC's pin for NMIs.
 */
int arch_vm_inject_nmi(const struct kvm_vm *vm, struct error *err)
{
	const struct kvm_msi message = {
		.address_lo = LAYOUT_LOCAL_APIC,
		.data = MSI_DELIVERY_NMI,
	};
	int ret = kvm_ioctl(vm->vm_fd, KVM_SIGNAL_MSI, (uintptr_t)&message);

	return ret < 0 ? error_code(err, ret, "KVM: sending the guest an NMI") : 0;
}

const char arch_name[] = "x86_64";

bool arch_can_run_linux(const char **why)
{
	unsigned int eax, ebx, ecx, edx;
	bool vmx = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_1_ECX_VMX);
	bool svm = __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) &&
		   (ecx & CPUID_80000001_ECX_SVM);

	if (vmx || svm)
		return true;
	*why = "the CPU has neither vmx nor svm, so this KVM emulates the guest's kernel mode, and "
	       "not all of what Linux needs (kvm_pvm does so); try: a machine with hardware "
	       "virtualisation";
	return false;
}
