/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/paging.h"

#include "aarch64/layout.h"
#include "lib/guest.h"

#define GIB (1ull << 30)

extern uint64_t page_table[PAGE_TABLE_ENTRIES]; /* head.S */

/*
 * Devices are mapped as normal memory that isn't cached. As what Arm calls device memory, the guest
 * "hostile" could make no unaligned accesses; and the order of accesses is that of the program all
 * the same, for each is trapped.
 */
void map_identity(uint64_t base, uint64_t size, bool device)
{
	if (base >= PAGE_TABLE_ENTRIES * GIB || size > PAGE_TABLE_ENTRIES * GIB - base)
		fatal("%#lx + %#lx is beyond what page tables reach", base, size);
	for (uint64_t i = base / GIB; i * GIB < base + size; i++)
		if (page_table[i] == 0)
			page_table[i] = i * GIB | (device ? BLOCK_DEVICE : BLOCK_MEMORY);
	__asm__ volatile("dsb ishst; isb" : : : "memory");
}
