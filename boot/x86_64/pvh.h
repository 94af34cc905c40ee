/* SPDX-License-Identifier: Apache-2.0 */
/* PVH's start info (Xen, xen/include/public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc). */
#ifndef BOOT_X86_64_PVH_H
#define BOOT_X86_64_PVH_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/core/memory.h"

struct error;
struct handover;

#define PVH_MAGIC 0x336ec578

/* All addresses are guest-physical, all numbers little-endian. */
struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t n_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map; /* from here on version 1 */
	uint32_t memory_map_entries;
	uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h, struct hvm_start_info");
_Static_assert(offsetof(struct pvh_start_info, memory_map) == 40, "start_info.h, memmap_paddr");

struct pvh_module {
	uint64_t base;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "start_info.h, struct hvm_modlist_entry");

struct pvh_memory {
	uint64_t base;
	uint64_t size;
	uint32_t type; /* as in e820 */
	uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_memory) == 24, "start_info.h, struct hvm_memmap_table_entry");

/*
 * Write start info, module list and memory map to LAYOUT_PVH_START_INFO. -EFAULT if there is no
 * memory.
 */
int pvh_write(const struct guest_memory *mem, const struct handover *handover, struct error *err);

#endif
