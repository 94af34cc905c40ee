/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/guest.h"
#include "lib/string.h"

enum {
	CACHE_LINE = 64,
};

/* Part of the image, so that no VMM puts anything else there. */
static uint8_t pool[5 << 20] __attribute__((section(".noinit"), aligned(PAGE_SIZE)));
static size_t used;

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static void *take(size_t size)
{
	void *taken = pool + used;

	if (size > sizeof(pool) - used)
		fatal("out of memory: %zu bytes wanted, %zu left", size, sizeof(pool) - used);
	used += size;
	memset(taken, 0, size);
	return taken;
}

void *alloc_pages(size_t size)
{
	used = round_up(used, PAGE_SIZE);
	return take(round_up(size, PAGE_SIZE));
}

void *alloc_buffer(size_t size)
{
	size_t lines = round_up(size, CACHE_LINE) / CACHE_LINE;

	return take((lines | 1) * CACHE_LINE);
}

size_t alloc_mark(void)
{
	return used;
}

void alloc_release(size_t mark)
{
	used = mark;
}
