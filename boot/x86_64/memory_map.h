/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map that the guest is given: one list, which linux_params.c renders as e820 and pvh.c
 * as PVH's table.
 */
#ifndef BOOT_X86_64_MEMORY_MAP_H
#define BOOT_X86_64_MEMORY_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/core/memory.h"

struct error;

/* ACPI 6.5, table 15.1: the same numbers in e820 and PVH. */
enum memory_map_type {
	MEMORY_MAP_RAM = 1,
	MEMORY_MAP_RESERVED = 2,
};

struct memory_map_entry {
	struct memory_range range;
	enum memory_map_type type;
};

enum {
	/* Every region, the first in two parts; the tables, KVM's pages. */
	MEMORY_MAP_MAX_ENTRIES = MEMORY_MAX_REGIONS + 3,
};

struct memory_map {
	struct memory_map_entry entries[MEMORY_MAP_MAX_ENTRIES]; /* by rising address */
	size_t n;
};

/*
 * Describe @mem as arch/x86_64/layout.h divides it. -EINVAL unless its first region goes from 0 to
 * beyond 1 MiB and all others lie above 4 GiB.
 */
int memory_map_build(struct memory_map *map, const struct guest_memory *mem, struct error *err);

#endif
