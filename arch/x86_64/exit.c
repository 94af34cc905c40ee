/* SPDX-License-Identifier: Apache-2.0 */
/* Why KVM_RUN returned, and what to do about it. */
#include <errno.h>
#include <stdio.h>

#include "arch/arch.h"
#include "devices/bus.h"
#include "vmm/core/error.h"

static void dispatch_pio(const struct kvm_run *run, const struct bus *pio)
{
	/* KVM places the data in the mapping itself; string instructions bring several at once. */
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(pio, run->io.port, data, run->io.size);
		else
			bus_read(pio, run->io.port, data, run->io.size);
	}
}

static enum arch_exit emulation_failed(const struct kvm_vcpu *vcpu, struct error *err)
{
	const struct kvm_run *run = vcpu->run;
	struct kvm_regs regs = {0};
	char bytes[3 * 16 + 1] = "";
	const char *why = NULL;

	kvm_ioctl(vcpu->fd, KVM_GET_REGS, (uintptr_t)&regs);
	if (run->emulation_failure.ndata >= 3 &&
	    run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		for (size_t i = 0; i < run->emulation_failure.insn_size && i < 15; i++)
			sprintf(bytes + 3 * i, " %02x", run->emulation_failure.insn_bytes[i]);
	}
	arch_can_run_linux(&why);
	error_set(err, -ENOTSUP, "KVM could not emulate the guest's instruction at 0x%llx%s%s%s%s",
		  regs.rip, bytes[0] ? ":" : "", bytes, why ? ": " : "", why ? why : "");
	return ARCH_EXIT_UNSUPPORTED;
}

enum arch_exit arch_vcpu_handle_exit(const struct kvm_vcpu *vcpu, const struct bus *mmio,
				     const struct bus *pio, struct error *err)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		dispatch_pio(run, pio);
		return ARCH_EXIT_CONTINUE;
	case KVM_EXIT_MMIO:
		if (run->mmio.is_write)
			bus_write(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
		else
			bus_read(mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
		return ARCH_EXIT_CONTINUE;
	case KVM_EXIT_INTR:
		return ARCH_EXIT_CONTINUE;
	case KVM_EXIT_SHUTDOWN:
		return ARCH_EXIT_TRIPLE_FAULT;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
			return emulation_failed(vcpu, err);
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
