/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: which device answers an access to an address. There is one for MMIO and, on x86, one for
 * port I/O; addresses are bytes, data is little-endian as the guest wrote it.
 *
 * Ranges are added before the vCPUs run and stay; dispatching is for any vCPU thread, several at
 * once: a device does its own locking.
 */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <stddef.h>
#include <stdint.h>

struct error;

struct bus_ops {
	/*
	 * An access of @len bytes at @offset from the start of the device's range, wholly inside
	 * it. @len is 1 to 8, and nothing is aligned: most are 1, 2, 4 or 8, but KVM also hands out
	 * what an instruction accesses otherwise, or what a page's end has split. read() fills
	 * @data; what it leaves alone reads as ones.
	 */
	void (*read)(void *device, uint64_t offset, uint8_t *data, unsigned int len);
	void (*write)(void *device, uint64_t offset, const uint8_t *data, unsigned int len);
};

struct bus_range {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *device; /* borrowed */
};

enum {
	BUS_MAX_RANGES = 32,
};

struct bus {
	struct bus_range ranges[BUS_MAX_RANGES]; /* by rising address */
	size_t n_ranges;
};

/* Claim a range. -EEXIST if it overlaps another, -ENOSPC if the table is full. */
int bus_add(struct bus *bus, const struct bus_range *range, struct error *err);

/* An access by the guest. Where no device answers, reads give ones and writes are lost. */
void bus_read(const struct bus *bus, uint64_t addr, uint8_t *data, unsigned int len);
void bus_write(const struct bus *bus, uint64_t addr, const uint8_t *data, unsigned int len);

#endif
