/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map that the VMM tells is that of "memory" bytes, and the memory is there: the first
 * and last page of each range hold what is written to them, and no two are the same.
 */
#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/paging.h"
#include "lib/platform.h"

#define FIRMWARE_MEMORY 0x100000ull /* how much may be reserved for tables */

static const struct memory_range *ram(size_t i)
{
	const struct memory_range *range = &boot_info.memory[i];

	return range->type == MEMORY_RAM && range->size >= PAGE_SIZE ? range : NULL;
}

static uint64_t end_of(const struct memory_range *range)
{
	return range->base + range->size;
}

static void check_layout(uint64_t size)
{
	const uint64_t hole = platform_memory.hole, above = platform_memory.above;
	const uint64_t room = hole - platform_memory.base; /* below the hole */
	uint64_t low = platform_memory.base + (size < room ? size : room);
	uint64_t total = 0;
	uint64_t low_end = 0;
	uint64_t end = 0;
	bool in_hole = false;

	for (size_t i = 0; i < boot_info.n_memory; i++) {
		const struct memory_range *range = ram(i);

		if (range == NULL)
			continue;
		total += range->size;
		if (end_of(range) > end)
			end = end_of(range);
		if (range->base < hole && end_of(range) > low_end)
			low_end = end_of(range);
		in_hole |= range->base < above && end_of(range) > hole;
		check(range->base >= platform_memory.base, "RAM begins at %#lx",
		      platform_memory.base);
	}
	check(!in_hole, "no RAM in the hole");
	check(total <= size && total + FIRMWARE_MEMORY >= size, "%#lx of %#lx bytes are RAM", total,
	      size);
	check(low_end <= low && low_end + FIRMWARE_MEMORY >= low, "RAM below the hole ends at %#lx",
	      low_end);
	if (size > room)
		check(end == above + size - room, "RAM above it ends at %#lx", end);
}

static void check_no_overlap(void)
{
	for (size_t i = 0; i < boot_info.n_memory; i++) {
		const struct memory_range *a = &boot_info.memory[i];

		for (size_t k = 0; k < i; k++) {
			const struct memory_range *b = &boot_info.memory[k];

			if (a->base < b->base + b->size && b->base < a->base + a->size) {
				check(false, "entries %zu and %zu do not overlap", k, i);
				return;
			}
		}
	}
	check(true, "no two of %zu entries overlap", boot_info.n_memory);
}

/* The last 8 bytes of the first page and of the last page of a range: rarely used by anyone. */
static volatile uint64_t *probe(const struct memory_range *range, unsigned int which)
{
	return (volatile uint64_t *)(which == 0 ? range->base + PAGE_SIZE - 8
						: range->base + range->size - 8);
}

static void check_contents(void)
{
	static uint64_t saved[2 * sizeof(boot_info.memory) / sizeof(boot_info.memory[0])];
	unsigned int wrong = 0;

	for (size_t i = 0; i < 2 * boot_info.n_memory; i++)
		if (ram(i / 2) != NULL) {
			saved[i] = *probe(ram(i / 2), i % 2);
			*probe(ram(i / 2), i % 2) = 0x0123456789abcdef * (i / 2 + 1) + i % 2;
		}
	for (size_t i = 0; i < 2 * boot_info.n_memory; i++)
		if (ram(i / 2) != NULL && ram(i / 2)->size > PAGE_SIZE)
			wrong += *probe(ram(i / 2), i % 2) !=
				 0x0123456789abcdef * (i / 2 + 1) + i % 2;
	for (size_t i = 2 * boot_info.n_memory; i-- > 0;)
		if (ram(i / 2) != NULL)
			*probe(ram(i / 2), i % 2) = saved[i];
	check(wrong == 0, "first and last page of each range hold what was written: %u don't",
	      wrong);
}

int main(void)
{
	for (size_t i = 0; i < boot_info.n_memory; i++) {
		const struct memory_range *range = &boot_info.memory[i];

		print("# 0x%010lx + %#lx type %u\n", range->base, range->size, range->type);
		if (ram(i) != NULL)
			map_identity(range->base, range->size, false);
	}
	check_no_overlap();
	check_layout(arg_number("memory", 0));
	check_contents();
	return check_done();
}
