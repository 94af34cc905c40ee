/* SPDX-License-Identifier: Apache-2.0 */
/* What the VMM told at boot, whatever the boot protocol. */
#ifndef GUEST_LIB_BOOT_INFO_H
#define GUEST_LIB_BOOT_INFO_H

#include <stddef.h>
#include <stdint.h>

enum memory_type {
	MEMORY_RAM = 1, /* as in E820 and PVH memory maps */
};

struct memory_range {
	uint64_t base;
	uint64_t size;
	uint32_t type; /* enum memory_type, or another */
};

struct boot_info {
	const char *protocol;
	const char *cmdline; /* never NULL */
	uint64_t rsdp;	     /* 0: not told */
	const uint8_t *initrd;
	uint64_t initrd_size;
	struct memory_range memory[128];
	size_t n_memory;
};

extern struct boot_info boot_info;

#endif
