/* SPDX-License-Identifier: Apache-2.0 */
/* Why KVM_RUN returned, and what to do about it. */
#include <errno.h>

#include "arch/arch.h"
#include "devices/bus.h"
#include "vmm/core/error.h"

static enum arch_exit system_event(const struct kvm_vcpu *vcpu, struct error *err)
{
	uint32_t type = vcpu->run->system_event.type;

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return ARCH_EXIT_POWER_OFF;
	case KVM_SYSTEM_EVENT_RESET:
		return ARCH_EXIT_RESET;
	default:
		error_set(err, -ENOTSUP, "KVM: system event %u on vCPU %u is not known to xvmm",
			  type, vcpu->index);
		return ARCH_EXIT_UNSUPPORTED;
	}
}

enum arch_exit arch_vcpu_handle_exit(const struct kvm_vcpu *vcpu, const struct bus *mmio,
				     const struct bus *pio, struct error *err)
{
	struct kvm_run *run = vcpu->run;

	(void)pio;
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		if (run->mmio.is_write)
			bus_write(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
		else
			bus_read(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
		return ARCH_EXIT_CONTINUE;
	case KVM_EXIT_INTR:
		return ARCH_EXIT_CONTINUE;
	case KVM_EXIT_SYSTEM_EVENT:
		return system_event(vcpu, err);
	case KVM_EXIT_ARM_NISV:
		error_set(err, -ENOTSUP,
			  "the guest accessed 0x%llx, where it has no memory, by an instruction "
			  "that KVM doesn't decode",
			  run->arm_nisv.fault_ipa);
		return ARCH_EXIT_UNSUPPORTED;
	case KVM_EXIT_INTERNAL_ERROR:
		error_set(err, -ENOTSUP, "KVM: internal error %u on vCPU %u",
			  run->internal.suberror, vcpu->index);
		return ARCH_EXIT_UNSUPPORTED;
	case KVM_EXIT_FAIL_ENTRY:
		error_set(err, -ENOTSUP,
			  "KVM: the CPU refused to enter the guest: hardware reason 0x%llx",
			  run->fail_entry.hardware_entry_failure_reason);
		return ARCH_EXIT_UNSUPPORTED;
	default:
		error_set(err, -ENOTSUP, "KVM: exit reason %u on vCPU %u is not known to xvmm",
			  run->exit_reason, vcpu->index);
		return ARCH_EXIT_UNSUPPORTED;
	}
}
