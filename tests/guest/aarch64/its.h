/* SPDX-License-Identifier: Apache-2.0 */
/* The Interrupt Translation Service of a GICv3 (Arm IHI 0069, chapter 5): messages become LPIs. */
#ifndef GUEST_AARCH64_ITS_H
#define GUEST_AARCH64_ITS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ITS_LPIS = 256, /* that a guest can have; the first one's INTID is GIC_FIRST_LPI */
};

/* Whether there is one. */
bool its_found(void);

/*
 * Have the message *@data to *@address, by device ID @device, be LPI number @lpi (from 0 on), which
 * interrupts the CPU that was the first to call this. After gic_init_cpu().
 */
void its_map(uint32_t device, uint32_t lpi, uint64_t *address, uint32_t *data);

#endif
