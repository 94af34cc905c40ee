/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt controller: a GICv3 (Arm IHI 0069), of which its.h has messages, or a GICv2 (Arm
 * IHI 0048), which has none.
 */
#ifndef GUEST_AARCH64_GIC_H
#define GUEST_AARCH64_GIC_H

#include <stdbool.h>
#include <stdint.h>

enum { /* 2.2.1: numbers of interrupts (INTID) */
	GIC_FIRST_SPI = 32,
	GIC_FIRST_SPECIAL = 1020, /* to 1023: there is no interrupt */
	GIC_FIRST_LPI = 8192,
};

/* Let this CPU be interrupted. */
void gic_init_cpu(void);

/*
 * Where the registers of the distributor are, and those of this CPU: a GICv3's redistributor, a
 * GICv2's CPU interface.
 */
uint64_t gic_distributor(void);
uint64_t gic_cpu_part(void);

/* How many cells of an "interrupt-map" are an address of it. */
unsigned int gic_address_cells(void);

/* Have SPI @intid interrupt this CPU. */
void gic_enable_spi(uint32_t intid, bool is_edge);

/* For who is interrupted: by what; and that it was dealt with, unless it is a special number. */
uint32_t gic_acknowledge(void);
void gic_end(uint32_t intid);

#endif
