/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch64/gic.h"

#include "aarch64/cpu.h"
#include "lib/fdt.h"
#include "lib/guest.h"

enum { /* 12.8: the distributor */
	GICD_CTLR = 0x0000,
	GICD_IGROUPR = 0x0080,	  /* a bit for each interrupt */
	GICD_ISENABLER = 0x0100,  /* a bit */
	GICD_IPRIORITYR = 0x0400, /* a byte */
	GICD_ICFGR = 0x0c00,	  /* two bits */
	GICD_IROUTER = 0x6000,	  /* 64 bits */
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

enum {
	PRIORITY = 0x80,
	PRIORITY_ALL = 0xff, /* of what may interrupt: what is below it */
};

static struct fdt_node find_gic(void)
{
	struct fdt_node gic;

	if (!fdt_find("compatible", "arm,gic-v3", 0, &gic))
		fatal("device tree: no GICv3");
	return gic;
}

uint64_t gic_distributor(void)
{
	struct fdt_node gic = find_gic();

	return fdt_number(&gic, "reg", 0, 2);
}

uint64_t gic_redistributor(void)
{
	struct fdt_node gic = find_gic();
	uint64_t at = fdt_number(&gic, "reg", 4, 2);
	uint64_t affinity = read_affinity();
	uint64_t typer;

	affinity = (affinity >> 32) << 24 | (affinity & 0xffffff);
	do {
		typer = read64(at + GICR_TYPER);
		if (typer >> 32 == affinity)
			return at;
		at += typer & GICR_TYPER_VLPIS ? 2 * GICR_FRAMES : GICR_FRAMES;
	} while (!(typer & GICR_TYPER_LAST));
	fatal("GIC: no redistributor is of affinity %#lx", affinity);
}

void gic_init_cpu(void)
{
	uint64_t distributor = gic_distributor();
	uint64_t redistributor = gic_redistributor();

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

void gic_enable_spi(uint32_t intid, bool is_edge)
{
	uint64_t distributor = gic_distributor();
	uint64_t group = distributor + GICD_IGROUPR + intid / 32 * 4;
	uint64_t config = distributor + GICD_ICFGR + intid / 16 * 4;
	unsigned int shift = intid % 16 * 2;

	write32(group, read32(group) | 1u << intid % 32);
	write32(config, (read32(config) & ~(3u << shift)) |
				(is_edge ? (uint32_t)GICD_ICFGR_EDGE << shift : 0));
	*(volatile uint8_t *)(distributor + GICD_IPRIORITYR + intid) = PRIORITY;
	write64(distributor + GICD_IROUTER + 8 * (uint64_t)intid, read_affinity());
	write32(distributor + GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

uint32_t gic_acknowledge(void)
{
	return (uint32_t)READ_REGISTER(icc_iar1_el1);
}

void gic_end(uint32_t intid)
{
	WRITE_REGISTER(icc_eoir1_el1, intid);
}
