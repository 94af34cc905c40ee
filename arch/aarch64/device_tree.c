/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree that describes the machine to the kernel (Devicetree Specification 0.4, and the
 * bindings in Linux's Documentation/devicetree/bindings).
 */
#include <errno.h>
#include <libfdt.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/layout.h"
#include "arch/arch.h"
#include "vmm/core/error.h"

enum {
	PHANDLE_GIC = 1,
	PHANDLE_ITS = 2,
};

/* Interrupt specifiers (arm,gic.yaml, arm,gic-v3.yaml). */
enum {
	IRQ_SPI = 0,
	IRQ_PPI = 1,
	IRQ_EDGE_RISING = 1,
	IRQ_LEVEL_HIGH = 4,
};

/* PCI addresses (IEEE 1275 PCI bus binding, 2.2.1.1). */
#define PCI_SPACE_MEMORY32 (2u << 24)
#define PCI_SLOT_SHIFT	   11

/* Of 16550s on PCs; the baud rate is ignored anyway. */
#define SERIAL_CLOCK 1843200

struct tree {
	const struct arch_platform *platform;
	void *fdt;
	int error; /* of libfdt, the first one; nothing is added after it */
};

/* --- nodes and properties --- */

static void note(struct tree *tree, int error)
{
	if (!tree->error)
		tree->error = error;
}

static void begin(struct tree *tree, const char *name)
{
	note(tree, fdt_begin_node(tree->fdt, name));
}

static void begin_at(struct tree *tree, const char *name, uint64_t address)
{
	char full[48];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(tree, full);
}

static void end(struct tree *tree)
{
	note(tree, fdt_end_node(tree->fdt));
}

static void add_bytes(struct tree *tree, const char *name, const void *bytes, size_t len)
{
	note(tree, fdt_property(tree->fdt, name, bytes, (int)len));
}

static void add_flag(struct tree *tree, const char *name)
{
	add_bytes(tree, name, NULL, 0);
}

static void add_string(struct tree *tree, const char *name, const char *value)
{
	add_bytes(tree, name, value, strlen(value) + 1);
}

static void add_u32(struct tree *tree, const char *name, uint32_t value)
{
	note(tree, fdt_property_u32(tree->fdt, name, value));
}

static void add_u64(struct tree *tree, const char *name, uint64_t value)
{
	note(tree, fdt_property_u64(tree->fdt, name, value));
}

static void add_cells(struct tree *tree, const char *name, const uint32_t *cells, size_t n)
{
	void *to = NULL;

	note(tree, fdt_property_placeholder(tree->fdt, name, (int)(n * sizeof(*cells)), &to));
	for (size_t i = 0; i < n && !tree->error; i++)
		fdt32_st((fdt32_t *)to + i, cells[i]);
}

#define ADD_CELLS(tree, name, ...)                             \
	add_cells(tree, name, (const uint32_t[]){__VA_ARGS__}, \
		  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A 64-bit number as two cells. */
#define CELLS64(value) (uint32_t)((value) >> 32), (uint32_t)(value)

static void add_reg(struct tree *tree, uint64_t base, uint64_t size)
{
	ADD_CELLS(tree, "reg", CELLS64(base), CELLS64(size));
}

static void add_gsi(struct tree *tree, uint32_t gsi, bool level)
{
	ADD_CELLS(tree, "interrupts", IRQ_SPI, gsi, level ? IRQ_LEVEL_HIGH : IRQ_EDGE_RISING);
}

/* --- what there is --- */

static void add_seed(struct tree *tree, const char *name, size_t size)
{
	uint8_t seed[64];

	/* A kernel without one does, too. */
	if (getrandom(seed, size, GRND_NONBLOCK) == (ssize_t)size)
		add_bytes(tree, name, seed, size);
}

static void add_chosen(struct tree *tree, const struct arch_handover *handover)
{
	const struct memory_range *initrd = &handover->initrd;
	char console[32];

	snprintf(console, sizeof(console), "/serial@%llx", LAYOUT_SERIAL);
	begin(tree, "chosen");
	add_string(tree, "bootargs", handover->cmdline);
	add_string(tree, "stdout-path", console);
	if (initrd->size) {
		add_u64(tree, "linux,initrd-start", initrd->base);
		add_u64(tree, "linux,initrd-end", initrd->base + initrd->size);
	}
	add_seed(tree, "kaslr-seed", sizeof(uint64_t));
	add_seed(tree, "rng-seed", 64);
	end(tree);
}

static void add_memory(struct tree *tree, const struct guest_memory *mem)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct memory_range *range = &mem->regions[i].range;

		begin_at(tree, "memory", range->base);
		add_string(tree, "device_type", "memory");
		add_reg(tree, range->base, range->size);
		end(tree);
	}
}

/* Affinity, as KVM numbers vCPUs: 16 to a cluster. */
static uint32_t mpidr(unsigned int index)
{
	return (index >> 4) << 8 | (index & 0xf);
}

static void add_cpus(struct tree *tree)
{
	begin(tree, "cpus");
	add_u32(tree, "#address-cells", 1);
	add_u32(tree, "#size-cells", 0);
	for (unsigned int i = 0; i < tree->platform->cpus; i++) {
		begin_at(tree, "cpu", mpidr(i));
		add_string(tree, "device_type", "cpu");
		add_string(tree, "compatible", "arm,armv8");
		add_string(tree, "enable-method", "psci");
		add_u32(tree, "reg", mpidr(i));
		end(tree);
	}
	end(tree);
}

static void add_psci(struct tree *tree)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(tree, "psci");
	add_bytes(tree, "compatible", compatible, sizeof(compatible));
	add_string(tree, "method", "hvc");
	end(tree);
}

static bool has_its(const struct tree *tree)
{
	return !tree->platform->vm || tree->platform->vm->irqchip == GIC_V3_ITS;
}

static void add_gic(struct tree *tree)
{
	begin_at(tree, "interrupt-controller", LAYOUT_GICD);
	add_u32(tree, "phandle", PHANDLE_GIC);
	add_flag(tree, "interrupt-controller");
	add_u32(tree, "#interrupt-cells", 3);
	if (has_its(tree)) {
		add_string(tree, "compatible", "arm,gic-v3");
		ADD_CELLS(tree, "reg", CELLS64(LAYOUT_GICD), CELLS64(LAYOUT_GICV3_GICD_SIZE),
			  CELLS64(LAYOUT_GICR), CELLS64(LAYOUT_GICR_SIZE * tree->platform->cpus));
		add_u32(tree, "#address-cells", 2);
		add_u32(tree, "#size-cells", 2);
		add_flag(tree, "ranges");
		begin_at(tree, "msi-controller", LAYOUT_ITS);
		add_u32(tree, "phandle", PHANDLE_ITS);
		add_string(tree, "compatible", "arm,gic-v3-its");
		add_flag(tree, "msi-controller");
		add_u32(tree, "#msi-cells", 1);
		add_reg(tree, LAYOUT_ITS, LAYOUT_ITS_SIZE);
		end(tree);
	} else {
		add_string(tree, "compatible", "arm,cortex-a15-gic");
		add_u32(tree, "#address-cells", 0);
		ADD_CELLS(tree, "reg", CELLS64(LAYOUT_GICD), CELLS64(LAYOUT_GICV2_GICD_SIZE),
			  CELLS64(LAYOUT_GICV2_GICC), CELLS64(LAYOUT_GICV2_GICC_SIZE));
	}
	end(tree);
}

static void add_timer(struct tree *tree)
{
	/* A PPI of GICv2's says which CPUs it reaches. */
	const uint32_t all = has_its(tree) ? 0 : ((1u << tree->platform->cpus) - 1) << 8;
	const uint32_t flags = IRQ_LEVEL_HIGH | all;

	begin(tree, "timer");
	add_string(tree, "compatible", "arm,armv8-timer");
	add_flag(tree, "always-on");
	/* Secure and non-secure physical, virtual, hypervisor. */
	ADD_CELLS(tree, "interrupts", IRQ_PPI, 13, flags, IRQ_PPI, 14, flags, IRQ_PPI, 11, flags,
		  IRQ_PPI, 10, flags);
	end(tree);
}

static void add_device(struct tree *tree, const struct arch_device *device)
{
	switch (device->kind) {
	case ARCH_DEVICE_SERIAL:
		begin_at(tree, "serial", device->base);
		add_string(tree, "compatible", "ns16550a");
		add_u32(tree, "clock-frequency", SERIAL_CLOCK);
		break;
	case ARCH_DEVICE_PVPANIC:
		begin_at(tree, "pvpanic", device->base);
		add_string(tree, "compatible", "qemu,pvpanic-mmio");
		break;
	case ARCH_DEVICE_VIRTIO_MMIO:
		begin_at(tree, "virtio", device->base);
		add_string(tree, "compatible", "virtio,mmio");
		add_flag(tree, "dma-coherent");
		break;
	default:
		return;
	}
	add_reg(tree, device->base, device->size);
	if (device->gsi != ARCH_NO_GSI)
		add_gsi(tree, device->gsi, device->level);
	end(tree);
}

/* A key that is nothing but an interrupt: each is a press. */
static void add_power_button(struct tree *tree, const struct arch_device *device)
{
	begin(tree, "gpio-keys");
	add_string(tree, "compatible", "gpio-keys");
	begin(tree, "power");
	add_string(tree, "label", "Power Button");
	add_u32(tree, "linux,code", KEY_POWER);
	add_gsi(tree, device->gsi, device->level);
	end(tree);
	end(tree);
}

/* Which interrupt the pin INTA of each slot raises; slots with the same rest of 4 share one. */
static void add_interrupt_map(struct tree *tree, const struct arch_pci *pci)
{
	/* Slot and pin, the controller (its #address-cells: 2), type, number and flags. */
	enum {
		CELLS = 4 + 1 + 2 + 3
	};
	/* Of GICv2's node they are 0. */
	const size_t n = has_its(tree) ? CELLS : CELLS - 2;
	uint32_t map[4 * CELLS];

	for (uint32_t slot = 0; slot < 4; slot++) {
		uint32_t *entry = map + slot * n;

		memset(entry, 0, n * sizeof(*entry));
		entry[0] = slot << PCI_SLOT_SHIFT;
		entry[3] = 1;
		entry[4] = PHANDLE_GIC;
		entry[n - 3] = IRQ_SPI;
		entry[n - 2] = pci->gsi[slot];
		entry[n - 1] = IRQ_LEVEL_HIGH;
	}
	add_u32(tree, "#interrupt-cells", 1);
	ADD_CELLS(tree, "interrupt-map-mask", 3u << PCI_SLOT_SHIFT, 0, 0, 7);
	add_cells(tree, "interrupt-map", map, 4 * n);
}

static void add_pci(struct tree *tree, const struct arch_pci *pci)
{
	const struct memory_range *window = &pci->places.windows[0];

	begin_at(tree, "pci", pci->places.ecam.base);
	add_string(tree, "compatible", "pci-host-ecam-generic");
	add_string(tree, "device_type", "pci");
	add_u32(tree, "#address-cells", 3);
	add_u32(tree, "#size-cells", 2);
	add_reg(tree, pci->places.ecam.base, pci->places.ecam.size);
	ADD_CELLS(tree, "bus-range", 0, 0);
	ADD_CELLS(tree, "ranges", PCI_SPACE_MEMORY32, CELLS64(window->base), CELLS64(window->base),
		  CELLS64(window->size));
	add_flag(tree, "dma-coherent");
	/* A function's requester ID is its device ID (pci-msi.txt). */
	if (has_its(tree))
		ADD_CELLS(tree, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	add_interrupt_map(tree, pci);
	end(tree);
}

static void build(struct tree *tree, const struct guest_memory *mem,
		  const struct arch_handover *handover, size_t size)
{
	const struct arch_platform *platform = tree->platform;

	note(tree, fdt_create(tree->fdt, (int)size));
	note(tree, fdt_finish_reservemap(tree->fdt));
	begin(tree, "");
	add_string(tree, "compatible", "linux,dummy-virt");
	add_string(tree, "model", "xvmm");
	add_u32(tree, "#address-cells", 2);
	add_u32(tree, "#size-cells", 2);
	add_u32(tree, "interrupt-parent", PHANDLE_GIC);
	add_chosen(tree, handover);
	add_memory(tree, mem);
	add_cpus(tree);
	add_psci(tree);
	add_gic(tree);
	add_timer(tree);
	for (size_t i = 0; i < platform->n_devices; i++) {
		const struct arch_device *device = &platform->devices[i];

		if (device->kind == ARCH_DEVICE_POWER)
			add_power_button(tree, device);
		else
			add_device(tree, device);
	}
	if (platform->pci)
		add_pci(tree, platform->pci);
	end(tree);
	note(tree, fdt_finish(tree->fdt));
}

int arch_write_tables(const struct guest_memory *mem, const struct arch_platform *platform,
		      const struct arch_handover *handover, gpa_t *tables, struct error *err)
{
	struct tree tree = {.platform = platform, .fdt = calloc(1, LAYOUT_TREE_MAX)};
	int ret = 0;

	if (!tree.fdt)
		return error_set(err, -ENOMEM, "device tree: out of memory");
	*tables = gpa(LAYOUT_TREE);
	build(&tree, mem, handover, LAYOUT_TREE_MAX);
	if (tree.error)
		ret = error_set(err, -EINVAL, "device tree: %s", fdt_strerror(tree.error));
	else if (memory_write(mem, *tables, tree.fdt, fdt_totalsize(tree.fdt)))
		ret = error_set(err, -EFAULT, "device tree: no memory at %#llx for it",
				(unsigned long long)LAYOUT_TREE);
	free(tree.fdt);
	return ret;
}
