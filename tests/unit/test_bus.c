/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/bus.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"

/* A device that remembers the last access. */
struct probe {
	uint64_t offset;
	unsigned int len, reads, writes;
	uint8_t data[8];
};

static void probe_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct probe *probe = device;

	probe->offset = offset;
	probe->len = len;
	probe->reads++;
	data[0] = 0x5a; /* the rest is left alone */
}

static void probe_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct probe *probe = device;

	probe->offset = offset;
	probe->len = len;
	probe->writes++;
	memcpy(probe->data, data, len);
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static int add(struct bus *bus, uint64_t base, uint64_t size, void *device, struct error *err)
{
	const struct bus_range range = {base, size, &probe_ops, device};

	return bus_add(bus, &range, err);
}

START_TEST(dispatch)
{
	static const struct {
		uint64_t addr;
		unsigned int len;
		int device; /* -1: none */
		uint64_t offset;
	} cases[] = {
		{0x0fff, 1, -1, 0},
		{0x1000, 1, 1, 0},
		{0x10ff, 1, 1, 0xff},
		{0x1100, 1, -1, 0},
		{0x10fd, 4, -1, 0},
		{0x10fc, 4, 1, 0xfc},
		{0x0fff, 4, -1, 0},
		{0x2000, 8, 2, 0},
		{0x2008, 1, 3, 0},
		{0x2007, 2, -1, 0},
		{0x10, 1, 0, 0},
		{0x11, 1, -1, 0},
		{0, 1, -1, 0},
		{UINT64_MAX, 1, 4, 0xfff},
		{UINT64_MAX, 8, -1, 0},
		{UINT64_MAX - 7, 8, 4, 0xff8},
		{UINT64_MAX - 0x1000, 1, -1, 0},
	};
	struct probe probes[5] = {0};
	struct bus bus = {0};

	/* In no order. */
	ck_assert_int_eq(add(&bus, 0x2000, 8, &probes[2], NULL), 0);
	ck_assert_int_eq(add(&bus, UINT64_MAX - 0xfff, 0x1000, &probes[4], NULL), 0);
	ck_assert_int_eq(add(&bus, 0x10, 1, &probes[0], NULL), 0);
	ck_assert_int_eq(add(&bus, 0x2008, 8, &probes[3], NULL), 0);
	ck_assert_int_eq(add(&bus, 0x1000, 0x100, &probes[1], NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t data[8] = {0};
		unsigned int reads = 0, writes = 0;

		memset(probes, 0, sizeof(probes));
		bus_read(&bus, cases[i].addr, data, cases[i].len);
		bus_write(&bus, cases[i].addr, data, cases[i].len);
		for (int d = 0; d < 5; d++) {
			reads += probes[d].reads;
			writes += probes[d].writes;
		}
		ck_assert_uint_eq(reads, cases[i].device >= 0);
		ck_assert_uint_eq(writes, cases[i].device >= 0);
		ck_assert_uint_eq(data[0], cases[i].device >= 0 ? 0x5a : 0xff);
		for (unsigned int b = 1; b < cases[i].len; b++)
			ck_assert_uint_eq(data[b], 0xff);
		for (unsigned int b = cases[i].len; b < 8; b++)
			ck_assert_uint_eq(data[b], 0);
		if (cases[i].device < 0)
			continue;
		ck_assert_uint_eq(probes[cases[i].device].reads, 1);
		ck_assert_uint_eq(probes[cases[i].device].offset, cases[i].offset);
		ck_assert_uint_eq(probes[cases[i].device].len, cases[i].len);
	}
}
END_TEST

START_TEST(write_data)
{
	static const uint8_t data[] = {1, 2, 3, 4};
	struct probe probe = {0};
	struct bus bus = {0};

	ck_assert_int_eq(add(&bus, 0x100, 0x10, &probe, NULL), 0);
	bus_write(&bus, 0x104, data, 4);
	ck_assert_uint_eq(probe.offset, 4);
	ck_assert_mem_eq(probe.data, data, 4);
}
END_TEST

START_TEST(overlap)
{
	static const struct {
		uint64_t base, size;
		int ret;
	} cases[] = {
		{0x100, 0x10, -EEXIST},
		{0xff, 2, -EEXIST},
		{0x10f, 1, -EEXIST},
		{0x10f, 100, -EEXIST},
		{0x108, 2, -EEXIST},
		{0, 0x1000, -EEXIST},
		{0, UINT64_MAX, -EEXIST},
		{0x200, 0, -EINVAL},
		{UINT64_MAX, 2, -EINVAL},
		{0xfe, 2, 0},
		{0x110, 1, 0},
		{0x110, 1, -EEXIST},
		{UINT64_MAX - 1, 2, 0},
		{UINT64_MAX, 1, -EEXIST},
	};
	struct probe probe = {0};
	struct bus bus = {0};

	ck_assert_int_eq(add(&bus, 0x100, 0x10, &probe, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};

		ck_assert_msg(add(&bus, cases[i].base, cases[i].size, &probe, &err) == cases[i].ret,
			      "case %zu", i);
		ck_assert_int_eq(err.code, cases[i].ret);
		ck_assert_int_eq(err.text[0] != '\0', cases[i].ret != 0);
	}
	for (size_t i = 1; i < bus.n_ranges; i++)
		ck_assert_uint_lt(bus.ranges[i - 1].base, bus.ranges[i].base);
}
END_TEST

START_TEST(full)
{
	struct probe probe = {0};
	struct bus bus = {0};

	for (unsigned int i = 0; i < BUS_MAX_RANGES; i++)
		ck_assert_int_eq(add(&bus, 0x1000 - i * 0x10, 0x10, &probe, NULL), 0);
	ck_assert_int_eq(add(&bus, 0x5000, 1, &probe, NULL), -ENOSPC);
	ck_assert_uint_eq(bus.n_ranges, BUS_MAX_RANGES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bus");
	TCase *tc = tcase_create("bus");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, dispatch);
	tcase_add_test(tc, write_data);
	tcase_add_test(tc, overlap);
	tcase_add_test(tc, full);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
