/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By the registers and tables of a GICv3 with ITS, which this makes for itself, for it needs their
 * descriptors (Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic-its.rst). Message n of a
 * device is an LPI of its own. Arm's GIC architecture (IHI 0069) has registers and commands.
 */
#include "tests/unit/irqchip.h"

#include <endian.h>

#include "arch/aarch64/layout.h"
#include "arch/arch.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory.h"

enum {
	INTERRUPTS = 64,
	FIRST_SPI = 32,
	FIRST_LPI = 8192,
	LPI_BITS = 14, /* of an INTID: 8192 LPIs */
	EVENT_BITS = 8,
	FIRST_NUMBER = 0x40,
	SLOTS = 3,

	GICD_ICFGR = 0x0c00, /* 2 bits an interrupt; 0: level-sensitive */
	GITS_CTLR = 0x0000,
	GITS_CBASER = 0x0080,
	GITS_CWRITER = 0x0088,
	GITS_BASER_DEVICES = 0x0100, /* as KVM has them */
	GITS_BASER_COLLECTIONS = 0x0108,
	GITS_TRANSLATER = 0x10040,
	GICR_CTLR = 0x0000,
	GICR_PROPBASER = 0x0070,
	GICR_PENDBASER = 0x0078,
	ENABLE = 1, /* of both CTLRs */

	CMD_CLEAR = 0x04,
	CMD_MAPD = 0x08,
	CMD_MAPC = 0x09,
	CMD_MAPTI = 0x0a,
	CMD_SIZE = 32,
};
#define VALID (1ULL << 63)

/* Guest memory: tables, 64 KiB each. */
#define TABLE_SIZE  0x10000ULL
#define QUEUE	    LAYOUT_RAM
#define DEVICES	    (LAYOUT_RAM + TABLE_SIZE)
#define COLLECTIONS (LAYOUT_RAM + 2 * TABLE_SIZE)
#define PROPERTIES  (LAYOUT_RAM + 3 * TABLE_SIZE)
#define PENDING	    (LAYOUT_RAM + 4 * TABLE_SIZE)
#define TRANSLATION (LAYOUT_RAM + 5 * TABLE_SIZE) /* of each slot's function */

const uint32_t irqchip_msi_address = LAYOUT_ITS + GITS_TRANSLATER;

static struct guest_memory mem;
static int gic = -1, its = -1;
static uint64_t queue_end; /* in bytes, where the next command goes */

static int create_device(const struct irqchip *chip, uint32_t type)
{
	struct kvm_create_device device = {.type = type};

	ck_assert_int_eq(kvm_ioctl(chip->vm.vm_fd, KVM_CREATE_DEVICE, (uintptr_t)&device), 0);
	return (int)device.fd;
}

static void set_attribute(int device, uint32_t group, uint64_t attr, const void *value)
{
	const struct kvm_device_attr args = {
		.group = group, .attr = attr, .addr = (uintptr_t)value};

	ck_assert_int_eq(kvm_ioctl(device, KVM_SET_DEVICE_ATTR, (uintptr_t)&args), 0);
}

static void set_address(int device, uint64_t what, uint64_t address)
{
	set_attribute(device, KVM_DEV_ARM_VGIC_GRP_ADDR, what, &address);
}

static void start(int device)
{
	set_attribute(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static void set_gicd(uint64_t offset, uint32_t value)
{
	set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, &value);
}

static void set_gicr(uint64_t offset, uint32_t value)
{
	set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, offset, &value);
}

static void set_gits(uint64_t offset, uint64_t value)
{
	set_attribute(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, offset, &value);
}

static void command(uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t words[CMD_SIZE / 8] = {htole64(a), htole64(b), htole64(c)};

	ck_assert_int_eq(memory_write(&mem, gpa(QUEUE + queue_end), words, sizeof(words)), 0);
	queue_end = (queue_end + CMD_SIZE) % TABLE_SIZE;
}

static void run_commands(void)
{
	set_gits(GITS_CWRITER, queue_end);
}

/* KVM's are edge-triggered until a guest says so, and have no level to be looked at. */
static void set_pins(void)
{
	for (uint64_t first = FIRST_SPI; first < INTERRUPTS; first += 16)
		set_gicd(GICD_ICFGR + first / 16 * 4, 0);
}

static uint64_t device_id(unsigned int slot)
{
	return slot << 3;
}

static uint32_t lpi(unsigned int slot, uint32_t number)
{
	return FIRST_LPI + (slot << EVENT_BITS) + number;
}

static void start_its(void)
{
	set_gicr(GICR_PROPBASER, (uint32_t)PROPERTIES | (LPI_BITS - 1));
	set_gicr(GICR_PENDBASER, (uint32_t)PENDING);
	set_gicr(GICR_CTLR, ENABLE);
	set_gits(GITS_BASER_DEVICES, VALID | DEVICES);
	set_gits(GITS_BASER_COLLECTIONS, VALID | COLLECTIONS);
	set_gits(GITS_CBASER, VALID | QUEUE | (TABLE_SIZE / 4096 - 1));
	set_gits(GITS_CTLR, ENABLE);
	queue_end = 0;
	command(CMD_MAPC, 0, VALID); /* collection 0: vCPU 0 */
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		command(CMD_MAPD | device_id(slot) << 32, EVENT_BITS - 1,
			VALID | (TRANSLATION + slot * TABLE_SIZE));
		for (uint64_t n = FIRST_NUMBER; n < 1 << EVENT_BITS; n++)
			command(CMD_MAPTI | device_id(slot) << 32,
				n | (uint64_t)lpi(slot, (uint32_t)n) << 32, 0);
	}
	run_commands();
}

/* GSI n is SPI n. */
static unsigned int routes(struct kvm_irq_routing_entry *entries)
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

bool irqchip_create(struct irqchip *chip)
{
	static const struct memory_range range = {LAYOUT_RAM, (5 + SLOTS) * TABLE_SIZE};
	static const struct memory_config config;
	static const uint32_t interrupts = INTERRUPTS;
	struct arch_cpu_model *model;
	struct error err;

	if (kvm_vm_open(&chip->vm, &err) || kvm_vm_create(&chip->vm, &err))
		return false;
	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, &err), 0);
	ck_assert_int_eq(kvm_vm_set_memory(&chip->vm, &mem, &err), 0);
	ck_assert_int_eq(arch_vm_init(&chip->vm, &err), 0);
	ck_assert_int_eq(kvm_vcpu_create(&chip->vm, 0, &chip->vcpu, &err), 0);
	ck_assert_int_eq(arch_cpu_model_create(&chip->vm, 1, &model, &err), 0);
	ck_assert_int_eq(arch_vcpu_init(&chip->vcpu, model, &err), 0);
	arch_cpu_model_destroy(model);
	gic = create_device(chip, KVM_DEV_TYPE_ARM_VGIC_V3);
	set_address(gic, KVM_VGIC_V3_ADDR_TYPE_DIST, LAYOUT_GICD);
	set_address(gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, LAYOUT_GICR);
	set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
	start(gic);
	set_pins();
	its = create_device(chip, KVM_DEV_TYPE_ARM_VGIC_ITS);
	set_address(its, KVM_VGIC_ITS_ADDR_TYPE, LAYOUT_ITS);
	start(its);
	start_its();
	chip->vm.irqchip_routes = routes;
	chip->vm.first_msi_gsi = LAYOUT_SPIS;
	return true;
}

void irqchip_destroy(struct irqchip *chip)
{
	fd_close(&its);
	fd_close(&gic);
	kvm_vcpu_destroy(&chip->vcpu);
	kvm_vm_destroy(&chip->vm);
	memory_destroy(&mem);
}

bool irqchip_take(struct irqchip *chip, uint8_t number)
{
	(void)chip;
	/* KVM keeps the pending bits to itself until they are to be saved. */
	set_attribute(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL);
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		uint32_t id = lpi(slot, number);
		uint8_t bits;

		ck_assert_int_eq(memory_read(&mem, gpa(PENDING + id / 8), &bits, 1), 0);
		if (bits >> id % 8 & 1) {
			command(CMD_CLEAR | device_id(slot) << 32, number, 0);
			run_commands();
			return true;
		}
	}
	return false;
}

bool irqchip_pin(struct irqchip *chip, uint32_t gsi)
{
	const uint64_t lines =
		VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT | FIRST_SPI;
	uint32_t level;
	const struct kvm_device_attr args = {
		.group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, .attr = lines, .addr = (uintptr_t)&level};

	(void)chip;
	ck_assert_int_eq(kvm_ioctl(gic, KVM_GET_DEVICE_ATTR, (uintptr_t)&args), 0);
	return level >> gsi & 1;
}
