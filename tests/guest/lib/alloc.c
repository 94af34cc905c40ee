/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/guest.h"
#include "lib/string.h"

/* Part of the image, so that no VMM puts anything else there. */
static uint8_t pool[5 << 20] __attribute__((section(".noinit"), aligned(PAGE_SIZE)));
static size_t used;

void *alloc_pages(size_t size)
{
	void *pages = pool + used;

	size = (size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
	if (size > sizeof(pool) - used)
		fatal("out of memory: %zu bytes wanted, %zu left", size, sizeof(pool) - used);
	used += size;
	memset(pages, 0, size);
	return pages;
}

size_t alloc_mark(void)
{
	return used;
}

void alloc_release(size_t mark)
{
	used = mark;
}
