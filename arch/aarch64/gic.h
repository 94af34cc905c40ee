/* SPDX-License-Identifier: Apache-2.0 */
/* Which interrupt controller a VM has: struct kvm_vm's irqchip. */
#ifndef ARCH_AARCH64_GIC_H
#define ARCH_AARCH64_GIC_H

enum gic {
	GIC_V3_ITS, /* with message-signalled interrupts */
	GIC_V2,	    /* without, and for 8 CPUs */
};

#endif
