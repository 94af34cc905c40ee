/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold_kvm: keeps a VM with a vCPU that never runs.
 *
 * The first vCPU of a machine and the end of its last one make KVM flip static keys, and so the
 * kernel rewrite code of its own, as hot as schedule(). TCG of QEMU before 8.1, when one CPU writes
 * code that another is translating, may keep the old code for ever: with int3 for its first byte,
 * L1 hangs. With a VM that is always there no test is the first or the last.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	if (kvm < 0 || vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 ||
	    ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		perror("hold_kvm");
		return 1;
	}
	pause();
	return 0;
}
