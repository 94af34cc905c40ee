/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/paging.h"

#include "lib/guest.h"

enum {
	PAGE_PRESENT_WRITE_USER = 0x07,
	PAGE_LARGE = 0x80,
	PAGE_CACHE_DISABLE = 0x18, /* PCD and PWT */
	ENTRIES = 512,
};

#define LARGE_PAGE_SIZE (2ull << 20)
#define GIB		(1ull << 30)
#define LIMIT		(ENTRIES * GIB) /* what one page of page directory pointers can reach */

extern uint64_t page_directory_pointers[ENTRIES]; /* head.S */

static void map_large(uint64_t address, uint64_t flags)
{
	uint64_t *pointer = &page_directory_pointers[address / GIB];
	uint64_t *directory;

	if (*pointer == 0)
		*pointer = (uintptr_t)alloc_pages(PAGE_SIZE) | PAGE_PRESENT_WRITE_USER;
	directory = (uint64_t *)(*pointer & ~(uint64_t)(PAGE_SIZE - 1));
	directory[address / LARGE_PAGE_SIZE % ENTRIES] = address | PAGE_PRESENT_WRITE_USER |
							 PAGE_LARGE | flags;
}

void map_identity(uint64_t base, uint64_t size, bool device)
{
	if (base >= LIMIT || size > LIMIT - base)
		fatal("%#lx + %#lx is beyond what page tables reach", base, size);
	/* The first 4 GiB are mapped by head.S. */
	for (uint64_t at = base & ~(LARGE_PAGE_SIZE - 1); at < base + size; at += LARGE_PAGE_SIZE)
		if (at >= 4 * GIB)
			map_large(at, device ? PAGE_CACHE_DISABLE : 0);
}
