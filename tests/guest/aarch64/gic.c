/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch64/gic.h"

#include "aarch64/cpu.h"
#include "lib/fdt.h"
#include "lib/guest.h"

enum { /* 12.8; GICv2 4.3: the distributor */
	GICD_CTLR = 0x0000,
	GICD_IGROUPR = 0x0080,	  /* a bit for each interrupt */
	GICD_ISENABLER = 0x0100,  /* a bit */
	GICD_IPRIORITYR = 0x0400, /* a byte */
	GICD_ITARGETSR = 0x0800,  /* a byte, a bit of it for each CPU: GICv2 */
	GICD_ICFGR = 0x0c00,	  /* two bits */
	GICD_IROUTER = 0x6000,	  /* 64 bits: GICv3 */
	GICD_CTLR_GROUP0 = 1 << 0,
	GICD_CTLR_GROUP1 = 1 << 1,
	GICD_CTLR_AFFINITY = 1 << 4,
	GICD_CTLR_PENDING = 1u << 31,
	GICD_ICFGR_EDGE = 2,
};

enum { /* 12.10: a redistributor */
	GICR_TYPER = 0x0008,
	GICR_WAKER = 0x0014,
	GICR_TYPER_VLPIS = 1 << 1,
	GICR_TYPER_LAST = 1 << 4,
	GICR_WAKER_SLEEP = 1 << 1,
	GICR_WAKER_ASLEEP = 1 << 2,
	GICR_FRAMES = 0x20000,
};

enum { /* GICv2 4.4: a CPU interface, of a GICv3 registers of the CPU */
	GICC_CTLR = 0x00,
	GICC_PMR = 0x04,
	GICC_IAR = 0x0c,
	GICC_EOIR = 0x10,
	GICC_CTLR_GROUP0 = 1 << 0,
	GICC_IAR_INTID = 0x3ff,
};

enum {
	PRIORITY = 0x80,
	PRIORITY_ALL = 0xff, /* of what may interrupt: what is below it */
};

/* Of a GICv2, from when it was looked for; else 0. */
static uint64_t cpu_interface;

static struct fdt_node find_gic(void)
{
	struct fdt_node gic;

	if (fdt_find("compatible", "arm,gic-v3", 0, &gic))
		return gic;
	if (!fdt_find("compatible", "arm,cortex-a15-gic", 0, &gic))
		fatal("device tree: neither a GICv3 nor a GICv2");
	cpu_interface = fdt_number(&gic, "reg", 4, 2);
	return gic;
}

uint64_t gic_distributor(void)
{
	struct fdt_node gic = find_gic();

	return fdt_number(&gic, "reg", 0, 2);
}

unsigned int gic_address_cells(void)
{
	struct fdt_node gic = find_gic();

	return (unsigned int)fdt_number(&gic, "#address-cells", 0, 1);
}

uint64_t gic_cpu_part(void)
{
	struct fdt_node gic = find_gic();
	uint64_t at = fdt_number(&gic, "reg", 4, 2);
	uint64_t affinity = read_affinity();
	uint64_t typer;

	if (cpu_interface)
		return cpu_interface;
	affinity = (affinity >> 32) << 24 | (affinity & 0xffffff);
	do {
		typer = read64(at + GICR_TYPER);
		if (typer >> 32 == affinity)
			return at;
		at += typer & GICR_TYPER_VLPIS ? 2 * GICR_FRAMES : GICR_FRAMES;
	} while (!(typer & GICR_TYPER_LAST));
	fatal("GIC: no redistributor is of affinity %#lx", affinity);
}

static void init_v2(uint64_t distributor)
{
	write32(distributor + GICD_CTLR, GICD_CTLR_GROUP0);
	write32(cpu_interface + GICC_PMR, PRIORITY_ALL);
	write32(cpu_interface + GICC_CTLR, GICC_CTLR_GROUP0);
}

static void init_v3(uint64_t distributor)
{
	uint64_t redistributor = gic_cpu_part();

	write32(distributor + GICD_CTLR, GICD_CTLR_AFFINITY | GICD_CTLR_GROUP1);
	while (read32(distributor + GICD_CTLR) & GICD_CTLR_PENDING)
		;
	write32(redistributor + GICR_WAKER,
		read32(redistributor + GICR_WAKER) & ~(uint32_t)GICR_WAKER_SLEEP);
	while (read32(redistributor + GICR_WAKER) & GICR_WAKER_ASLEEP)
		;
	WRITE_REGISTER(icc_sre_el1, READ_REGISTER(icc_sre_el1) | 1); /* these registers, not MMIO */
	WRITE_REGISTER(icc_pmr_el1, PRIORITY_ALL);
	WRITE_REGISTER(icc_igrpen1_el1, 1);
}

void gic_init_cpu(void)
{
	uint64_t distributor = gic_distributor();

	if (cpu_interface)
		init_v2(distributor);
	else
		init_v3(distributor);
}

/* All are in group 0; and interrupt 0 is one of this CPU's own. */
static void direct_v2(uint64_t distributor, uint32_t intid)
{
	volatile uint8_t *targets = (volatile uint8_t *)(distributor + GICD_ITARGETSR);

	targets[intid] = targets[0];
}

static void direct_v3(uint64_t distributor, uint32_t intid)
{
	uint64_t group = distributor + GICD_IGROUPR + intid / 32 * 4;

	write32(group, read32(group) | 1u << intid % 32);
	write64(distributor + GICD_IROUTER + 8 * (uint64_t)intid, read_affinity());
}

void gic_enable_spi(uint32_t intid, bool is_edge)
{
	uint64_t distributor = gic_distributor();
	uint64_t config = distributor + GICD_ICFGR + intid / 16 * 4;
	unsigned int shift = intid % 16 * 2;

	write32(config, (read32(config) & ~(3u << shift)) |
				(is_edge ? (uint32_t)GICD_ICFGR_EDGE << shift : 0));
	*(volatile uint8_t *)(distributor + GICD_IPRIORITYR + intid) = PRIORITY;
	if (cpu_interface)
		direct_v2(distributor, intid);
	else
		direct_v3(distributor, intid);
	write32(distributor + GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

uint32_t gic_acknowledge(void)
{
	if (cpu_interface)
		return read32(cpu_interface + GICC_IAR) & GICC_IAR_INTID;
	return (uint32_t)READ_REGISTER(icc_iar1_el1);
}

void gic_end(uint32_t intid)
{
	if (cpu_interface)
		write32(cpu_interface + GICC_EOIR, intid);
	else
		WRITE_REGISTER(icc_eoir1_el1, intid);
}
