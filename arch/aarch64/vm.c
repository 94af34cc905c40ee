/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM as a whole: KVM's in-kernel interrupt controller (Documentation/virt/kvm/devices/
 * arm-vgic-v3.rst, arm-vgic-its.rst, arm-vgic.rst).
 */
#include <errno.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/layout.h"
#include "arch/arch.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

enum {
	PRIVATE_INTERRUPTS = 32, /* INTIDs before the first SPI */
};

const char arch_name[] = "aarch64";

unsigned int arch_max_cpus(void)
{
	/* Redistributors, of which layout.h has room for more. */
	return 255;
}

bool arch_can_run_linux(const char **why)
{
	/* KVM needs EL2, and there it runs all. */
	(void)why;
	return true;
}

int arch_vm_init(struct kvm_vm *vm, struct error *err)
{
	static const int needed[] = {KVM_CAP_IRQCHIP,	  KVM_CAP_IOEVENTFD,
				     KVM_CAP_IRQFD,	  KVM_CAP_IMMEDIATE_EXIT,
				     KVM_CAP_USER_MEMORY, KVM_CAP_ARM_PSCI_0_2,
				     KVM_CAP_DEVICE_CTRL, KVM_CAP_ONE_REG};
	const struct kvm_enable_cap nisv = {.cap = KVM_CAP_ARM_NISV_TO_USER};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!kvm_vm_check(vm, needed[i]))
			return error_set(err, -ENOTSUP,
					 "/dev/kvm: this KVM is too old: capability %d is missing",
					 needed[i]);
	}
	/* For a better word than ENOSYS; not every KVM can. */
	kvm_ioctl(vm->vm_fd, KVM_ENABLE_CAP, (uintptr_t)&nisv);
	return 0;
}

/* --- the interrupt controller --- */

/* GSI n is SPI n, as KVM has it at first. */
static unsigned int irqchip_routes(struct kvm_irq_routing_entry *entries)
{
	for (uint32_t gsi = 0; gsi < LAYOUT_SPIS; gsi++) {
		entries[gsi] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.pin = gsi},
		};
	}
	return LAYOUT_SPIS;
}
_Static_assert(LAYOUT_SPIS <= KVM_IRQCHIP_ROUTES_MAX, "room for them");

/* A descriptor of the device, which stays with the VM when that is closed; or a negative errno. */
static int create_device(const struct kvm_vm *vm, uint32_t type)
{
	struct kvm_create_device device = {.type = type};
	int ret = kvm_ioctl(vm->vm_fd, KVM_CREATE_DEVICE, (uintptr_t)&device);

	return ret ? ret : (int)device.fd;
}

static int set_attribute(int device, uint32_t group, uint64_t attr, const void *value)
{
	const struct kvm_device_attr args = {
		.group = group, .attr = attr, .addr = (uintptr_t)value};

	return kvm_ioctl(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&args);
}

static int set_address(int device, uint64_t what, uint64_t address)
{
	return set_attribute(device, KVM_DEV_ARM_VGIC_GRP_ADDR, what, &address);
}

static int start_device(int device)
{
	return set_attribute(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static int start_gic(int gic)
{
	const uint32_t interrupts = PRIVATE_INTERRUPTS + LAYOUT_SPIS;
	int ret = set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);

	return ret ? ret : start_device(gic);
}

static int create_its(const struct kvm_vm *vm)
{
	FD_CLEANUP int its = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	int ret = its < 0 ? its : set_address(its, KVM_VGIC_ITS_ADDR_TYPE, LAYOUT_ITS);

	return ret ? ret : start_device(its);
}

static int start_gic_v3(struct kvm_vm *vm, int gic)
{
	int ret = set_address(gic, KVM_VGIC_V3_ADDR_TYPE_DIST, LAYOUT_GICD);

	if (!ret)
		ret = set_address(gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, LAYOUT_GICR);
	if (!ret)
		ret = start_gic(gic);
	if (!ret)
		ret = create_its(vm);
	vm->irqchip = GIC_V3_ITS;
	vm->irqchip_routes = irqchip_routes;
	vm->first_msi_gsi = LAYOUT_SPIS;
	return ret;
}

static int start_gic_v2(struct kvm_vm *vm, int gic)
{
	int ret = set_address(gic, KVM_VGIC_V2_ADDR_TYPE_DIST, LAYOUT_GICD);

	if (!ret)
		ret = set_address(gic, KVM_VGIC_V2_ADDR_TYPE_CPU, LAYOUT_GICV2_GICC);
	/* No messages, so no routes to change. */
	vm->irqchip = GIC_V2;
	return ret ? ret : start_gic(gic);
}

int arch_vm_inject_nmi(const struct kvm_vm *vm, struct error *err)
{
	(void)vm;
	return error_set(err, -EOPNOTSUPP, "there are no NMIs on this architecture");
}

int arch_vm_complete(struct kvm_vm *vm, struct error *err)
{
	FD_CLEANUP int gic = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	int ret;

	if (gic >= 0) {
		ret = start_gic_v3(vm, gic);
	} else {
		ret = gic = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V2);
		if (ret == -E2BIG)
			return error_usage(err, "this machine's GICv2 has at most 8 CPUs");
		if (ret >= 0)
			ret = start_gic_v2(vm, gic);
	}
	errno = -ret;
	return ret ? error_errno(err, "KVM: creating the interrupt controller") : 0;
}
