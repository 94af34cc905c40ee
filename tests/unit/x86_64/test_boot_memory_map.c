/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "boot/x86_64/memory_map.h"
#include "tests/unit/boot_files.h"

#define GIB (1ULL << 30)

/* Nothing of the memory is touched, so that none is mapped. */
static struct guest_memory memory_of(const struct memory_range *ranges, size_t n)
{
	struct guest_memory mem = {.n_regions = n, .fd = -1};

	for (size_t i = 0; i < n; i++)
		mem.regions[i].range = ranges[i];
	return mem;
}

static void assert_entry(const struct memory_map *map, size_t i, uint64_t base, uint64_t end,
			 enum memory_map_type type)
{
	ck_assert_uint_lt(i, map->n);
	ck_assert_uint_eq(map->entries[i].range.base, base);
	ck_assert_uint_eq(map->entries[i].range.base + map->entries[i].range.size, end);
	ck_assert_int_eq(map->entries[i].type, type);
}

START_TEST(small_memory)
{
	const struct memory_range range = {0, 64 * MIB};
	const struct guest_memory mem = memory_of(&range, 1);
	struct memory_map map;

	ck_assert_int_eq(memory_map_build(&map, &mem, NULL), 0);
	ck_assert_uint_eq(map.n, 4);
	assert_entry(&map, 0, 0, 0x9fc00, MEMORY_MAP_RAM);
	assert_entry(&map, 1, 0xe0000, 0x100000, MEMORY_MAP_RESERVED);
	assert_entry(&map, 2, 0x100000, 64 * MIB, MEMORY_MAP_RAM);
	assert_entry(&map, 3, 0xfeffc000, 0xff000000, MEMORY_MAP_RESERVED);
}
END_TEST

START_TEST(memory_around_the_hole)
{
	const struct memory_range ranges[] = {{0, 3 * GIB}, {4 * GIB, 2 * GIB}};
	const struct guest_memory mem = memory_of(ranges, 2);
	struct memory_map map;

	ck_assert_int_eq(memory_map_build(&map, &mem, NULL), 0);
	ck_assert_uint_eq(map.n, 5);
	assert_entry(&map, 2, 0x100000, 3 * GIB, MEMORY_MAP_RAM);
	assert_entry(&map, 4, 4 * GIB, 6 * GIB, MEMORY_MAP_RAM);
	for (size_t i = 1; i < map.n; i++) {
		const struct memory_range *before = &map.entries[i - 1].range;

		ck_assert_uint_le(before->base + before->size, map.entries[i].range.base);
	}
}
END_TEST

START_TEST(as_many_regions_as_there_may_be)
{
	struct memory_range ranges[MEMORY_MAX_REGIONS] = {{0, 3 * GIB}};
	struct guest_memory mem;
	struct memory_map map;

	for (size_t i = 1; i < MEMORY_MAX_REGIONS; i++)
		ranges[i] = (struct memory_range){(4 + 2 * i) * GIB, GIB};
	mem = memory_of(ranges, MEMORY_MAX_REGIONS);
	ck_assert_int_eq(memory_map_build(&map, &mem, NULL), 0);
	ck_assert_uint_eq(map.n, MEMORY_MAP_MAX_ENTRIES);
}
END_TEST

START_TEST(refuses_other_layouts)
{
	static const struct {
		struct memory_range ranges[2];
		size_t n;
	} cases[] = {
		{{{0}}, 0},
		{{{0, MIB}}, 1},
		{{{MIB, 64 * MIB}}, 1},
		{{{0, 4 * GIB}}, 1},
		{{{0, GIB}, {2 * GIB, GIB}}, 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct guest_memory mem = memory_of(cases[i].ranges, cases[i].n);
		struct error err = {0};
		struct memory_map map;

		ck_assert_int_eq(memory_map_build(&map, &mem, &err), -EINVAL);
		assert_error(err, -EINVAL, "guest memory must");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot/memory_map");
	TCase *tc = tcase_create("memory_map");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, small_memory);
	tcase_add_test(tc, memory_around_the_hole);
	tcase_add_test(tc, as_many_regions_as_there_may_be);
	tcase_add_test(tc, refuses_other_layouts);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
