/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/x86_64/memory_map.h"

#include <errno.h>

#include "arch/x86_64/layout.h"
#include "vmm/core/error.h"

static void add_entry(struct memory_map *map, uint64_t base, uint64_t end,
		      enum memory_map_type type)
{
	map->entries[map->n++] = (struct memory_map_entry){{base, end - base}, type};
}

int memory_map_build(struct memory_map *map, const struct guest_memory *mem, struct error *err)
{
	const struct memory_range *low = &mem->regions[0].range;

	*map = (struct memory_map){0};
	if (mem->n_regions == 0 || low->base != 0 || low->size <= LAYOUT_HIGH_RAM ||
	    low->size > LAYOUT_HOLE)
		return error_set(err, -EINVAL, "guest memory must go from 0 to beyond 1 MiB");

	add_entry(map, 0, LAYOUT_LOW_RAM_END, MEMORY_MAP_RAM);
	/*
	 * The firmware tables are reserved, not ACPI reclaimable memory: Linux reclaims nothing
	 * below 1 MiB, takes this for the BIOS by itself when it boots by PVH, and a kernel
	 * started by kexec or after a crash finds the tables in either.
	 */
	add_entry(map, LAYOUT_TABLES, LAYOUT_TABLES_END, MEMORY_MAP_RESERVED);
	add_entry(map, LAYOUT_HIGH_RAM, low->size, MEMORY_MAP_RAM);
	/* No RAM, but no place for the guest to put a device's window either. */
	add_entry(map, LAYOUT_IDENTITY_MAP, LAYOUT_TSS + LAYOUT_TSS_SIZE, MEMORY_MAP_RESERVED);
	for (size_t i = 1; i < mem->n_regions; i++) {
		const struct memory_range *range = &mem->regions[i].range;

		if (range->base < LAYOUT_HOLE_END)
			return error_set(err, -EINVAL, "guest memory must leave 3 to 4 GiB free");
		add_entry(map, range->base, range->base + range->size, MEMORY_MAP_RAM);
	}
	return 0;
}
