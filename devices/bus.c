/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/bus.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/error.h"

int bus_add(struct bus *bus, const struct bus_range *range, struct error *err)
{
	const uint64_t last = range->base + (range->size - 1);
	size_t at = 0;

	if (range->size == 0 || last < range->base)
		return error_set(err, -EINVAL, "bus: a range of %#llx bytes at %#llx can't be",
				 (unsigned long long)range->size, (unsigned long long)range->base);
	if (bus->n_ranges == BUS_MAX_RANGES)
		return error_set(err, -ENOSPC, "bus: all %d ranges are taken", BUS_MAX_RANGES);
	while (at < bus->n_ranges && bus->ranges[at].base < range->base)
		at++;
	for (size_t i = at ? at - 1 : 0; i < bus->n_ranges && i <= at; i++) {
		const struct bus_range *other = &bus->ranges[i];

		if (other->base <= last && range->base <= other->base + (other->size - 1))
			return error_set(err, -EEXIST,
					 "bus: %#llx to %#llx overlaps the device at %#llx",
					 (unsigned long long)range->base, (unsigned long long)last,
					 (unsigned long long)other->base);
	}
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->n_ranges - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = *range;
	bus->n_ranges++;
	return 0;
}

/* The range that holds all of [@addr, @addr + @len), or NULL. */
static const struct bus_range *find(const struct bus *bus, uint64_t addr, unsigned int len)
{
	size_t low = 0, high = bus->n_ranges;
	const struct bus_range *range;
	uint64_t offset;

	/* The last range that begins at @addr or before is just below @low in the end. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bus->ranges[middle].base <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	range = &bus->ranges[low - 1];
	offset = addr - range->base;
	if (offset >= range->size || len > range->size - offset)
		return NULL;
	return range;
}

void bus_read(const struct bus *bus, uint64_t addr, uint8_t *data, unsigned int len)
{
	const struct bus_range *range = find(bus, addr, len);

	memset(data, 0xff, len);
	if (range)
		range->ops->read(range->device, addr - range->base, data, len);
}

void bus_write(const struct bus *bus, uint64_t addr, const uint8_t *data, unsigned int len)
{
	const struct bus_range *range = find(bus, addr, len);

	if (range)
		range->ops->write(range->device, addr - range->base, data, len);
}
