/* SPDX-License-Identifier: Apache-2.0 */
/* Where memory, the interrupt controller and the devices of an aarch64 VM are. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/layout.h"
#include "arch/arch.h"
#include "vmm/core/error.h"

#define GIB (1ULL << 30)

static struct error err;

START_TEST(memory_limits)
{
	static const uint64_t wrong[] = {0,	    16 << 20,  (32 << 20) - 4096, (64 << 20) + 512,
					 256 * GIB, UINT64_MAX};
	static const uint64_t right[] = {32 << 20, (64 << 20) + 4096, 5 * GIB, 255 * GIB};
	struct memory_range ranges[MEMORY_MAX_REGIONS];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(arch_memory_ranges(wrong[i], ranges, &err), -EINVAL);
		ck_assert(err.usage);
		ck_assert_ptr_nonnull(strstr(err.text, "need 32M to 255G"));
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		ck_assert_int_eq(arch_memory_ranges(right[i], ranges, &err), 1);
		ck_assert_uint_eq(ranges[0].base, LAYOUT_RAM);
		ck_assert_uint_eq(ranges[0].size, right[i]);
	}
}
END_TEST

struct pieces {
	struct memory_range ranges[64];
	size_t n;
};

static void add(struct pieces *pieces, uint64_t base, uint64_t size)
{
	pieces->ranges[pieces->n++] = (struct memory_range){base, size};
}

/* All that can be there at once, with as many CPUs as there can be. */
static void add_all(struct pieces *pieces)
{
	struct memory_range ram[MEMORY_MAX_REGIONS];
	struct arch_pci pci;

	for (unsigned int k = 0; k < ARCH_DEVICE_KINDS; k++) {
		const enum arch_device_kind kind = (enum arch_device_kind)k;
		struct arch_device device;

		for (unsigned int i = 0; arch_place_device(kind, i, &device, &err) == 0; i++)
			if (device.size)
				add(pieces, device.base, device.size);
	}
	arch_place_pci(0, &pci);
	add(pieces, pci.places.ecam.base, pci.places.ecam.size);
	add(pieces, pci.places.windows[0].base, pci.places.windows[0].size);
	add(pieces, LAYOUT_GICD, LAYOUT_GICV3_GICD_SIZE);
	add(pieces, LAYOUT_ITS, LAYOUT_ITS_SIZE);
	add(pieces, LAYOUT_GICR, 255 * LAYOUT_GICR_SIZE);
	ck_assert_int_eq(arch_memory_ranges(255 * GIB, ram, &err), 1);
	add(pieces, ram[0].base, ram[0].size);
}

static int by_base(const void *a, const void *b)
{
	const struct memory_range *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

START_TEST(nothing_overlaps)
{
	struct pieces pieces = {0};

	add_all(&pieces);
	ck_assert_uint_ge(pieces.n, 5 + LAYOUT_MAX_VIRTIO_MMIO);
	qsort(pieces.ranges, pieces.n, sizeof(pieces.ranges[0]), by_base);
	for (size_t i = 1; i < pieces.n; i++)
		ck_assert_uint_le(pieces.ranges[i - 1].base + pieces.ranges[i - 1].size,
				  pieces.ranges[i].base);
	/* 40 bits of address are what KVM gives a VM that asks for no more. */
	ck_assert_uint_le(pieces.ranges[pieces.n - 1].base + pieces.ranges[pieces.n - 1].size,
			  1ULL << 40);
	/* GICv2's lie where GICv3's do. */
	ck_assert_uint_le(LAYOUT_GICD + LAYOUT_GICV2_GICD_SIZE, LAYOUT_GICV2_GICC);
	ck_assert_uint_le(LAYOUT_GICV2_GICC + LAYOUT_GICV2_GICC_SIZE, LAYOUT_ITS);
}
END_TEST

/* Of the GIC architecture, and of KVM, which checks them when a VM is made. */
START_TEST(gic_alignment)
{
	ck_assert_uint_eq(LAYOUT_GICD % 0x10000, 0);
	ck_assert_uint_eq(LAYOUT_GICR % 0x10000, 0);
	ck_assert_uint_eq(LAYOUT_ITS % 0x10000, 0);
	ck_assert_uint_eq(LAYOUT_GICV2_GICC % 0x1000, 0);
	ck_assert_uint_eq(LAYOUT_SPIS % 32, 0);
}
END_TEST

START_TEST(no_two_have_one_interrupt)
{
	unsigned int users[LAYOUT_SPIS] = {0};
	struct arch_device device;
	struct arch_pci pci;

	for (unsigned int k = 0; k < ARCH_DEVICE_KINDS; k++) {
		const enum arch_device_kind kind = (enum arch_device_kind)k;

		for (unsigned int i = 0; arch_place_device(kind, i, &device, &err) == 0; i++) {
			ck_assert_int_eq(device.kind, kind);
			ck_assert(!device.pio);
			if (device.gsi == ARCH_NO_GSI)
				continue;
			ck_assert_uint_lt(device.gsi, LAYOUT_SPIS);
			users[device.gsi]++;
		}
	}
	arch_place_pci(0, &pci);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_lt(pci.gsi[i], LAYOUT_SPIS);
		users[pci.gsi[i]]++;
	}
	for (size_t i = 0; i < LAYOUT_SPIS; i++)
		ck_assert_uint_le(users[i], 1);
	ck_assert_int_eq(
		arch_place_device(ARCH_DEVICE_VIRTIO_MMIO, LAYOUT_MAX_VIRTIO_MMIO, &device, &err),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 8 on virtio-mmio"));
}
END_TEST

/* booting.rst: the device tree in 2 MiB at most, the kernel at a multiple of 2 MiB. */
START_TEST(what_the_kernel_expects)
{
	ck_assert_uint_eq(LAYOUT_TREE % 8, 0);
	ck_assert_uint_le(LAYOUT_TREE_MAX, 2 << 20);
	ck_assert_uint_le(LAYOUT_TREE + LAYOUT_TREE_MAX, LAYOUT_KERNEL);
	ck_assert_uint_eq(LAYOUT_KERNEL % (2 << 20), 0);
	ck_assert_uint_eq(LAYOUT_RAM % GIB, 0);
	ck_assert_uint_le(LAYOUT_KERNEL + LAYOUT_KERNEL_SPACE, LAYOUT_RAM + 32 * GIB);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aarch64/platform");
	TCase *tc = tcase_create("layout");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, memory_limits);
	tcase_add_test(tc, nothing_overlaps);
	tcase_add_test(tc, gic_alignment);
	tcase_add_test(tc, no_two_have_one_interrupt);
	tcase_add_test(tc, what_the_kernel_expects);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
