/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree, read the way a guest does it: Devicetree Specification 0.4, and the bindings in
 * Linux's Documentation/devicetree/bindings.
 */
#include <check.h>
#include <errno.h>
#include <libfdt.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/gic.h"
#include "arch/aarch64/layout.h"
#include "arch/arch.h"
#include "tests/unit/boot_files.h"

enum {
	MAX_DEVICES = ARCH_DEVICE_KINDS + LAYOUT_MAX_VIRTIO_MMIO,
	PPI = 1,
	SPI = 0,
	EDGE_RISING = 1,
	LEVEL_HIGH = 4,
};

static struct error err;
static struct guest_memory mem;
static struct arch_device devices[MAX_DEVICES];
static struct arch_pci pci;
static struct kvm_vm vm = {.kvm_fd = -1, .vm_fd = -1};
static struct arch_platform platform;
static const struct arch_handover handover = {
	.cmdline = "console=ttyS0 quiet",
	.initrd = {.base = 0x43210000, .size = 0x1234},
};
static const void *fdt;

/* One of each kind, and @nics on virtio-mmio. */
static void place(unsigned int nics)
{
	platform.n_devices = 0;
	for (unsigned int i = 0; i < ARCH_DEVICE_KINDS; i++) {
		const enum arch_device_kind kind = (enum arch_device_kind)i;
		unsigned int n = kind == ARCH_DEVICE_VIRTIO_MMIO ? nics : 1;

		for (unsigned int j = 0; j < n; j++)
			ck_assert_int_eq(
				arch_place_device(kind, j, &devices[platform.n_devices++], &err),
				0);
	}
}

static void setup(void)
{
	static const struct memory_config config;
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	int n = arch_memory_ranges(64 * MIB, ranges, &err);

	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(memory_create(&mem, ranges, (size_t)n, &config, &err), 0);
	arch_place_pci(0, &pci);
	vm.irqchip = GIC_V3_ITS;
	platform = (struct arch_platform){.vm = &vm, .cpus = 1, .devices = devices, .pci = &pci};
	place(2);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

/* Build it, and have libfdt look at each byte of it. */
static void build_with(const struct arch_handover *with)
{
	gpa_t tables;

	ck_assert_msg(arch_write_tables(&mem, &platform, with, &tables, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(tables.value, LAYOUT_TREE);
	fdt = memory_translate(&mem, tables, LAYOUT_TREE_MAX);
	ck_assert_int_eq(fdt_check_full(fdt, LAYOUT_TREE_MAX), 0);
}

static void build(void)
{
	build_with(&handover);
}

/* --- reading --- */

static int node(const char *path)
{
	int at = fdt_path_offset(fdt, path);

	ck_assert_msg(at >= 0, "%s: %s", path, fdt_strerror(at));
	return at;
}

static bool has(const char *path, const char *name)
{
	return fdt_getprop(fdt, node(path), name, NULL) != NULL;
}

static void expect_string(const char *path, const char *name, const char *value)
{
	const char *text = fdt_stringlist_get(fdt, node(path), name, 0, NULL);

	ck_assert_msg(text != NULL, "%s has no %s", path, name);
	ck_assert_str_eq(text, value);
}

static void expect_cells(const char *path, const char *name, const uint32_t *cells, size_t n)
{
	int len;
	const void *data = fdt_getprop(fdt, node(path), name, &len);

	ck_assert_msg(data != NULL, "%s has no %s", path, name);
	ck_assert_uint_eq((size_t)len, n * sizeof(fdt32_t));
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(fdt32_ld((const fdt32_t *)data + i) == cells[i],
			      "%s %s, cell %zu: %#x, not %#x", path, name, i,
			      fdt32_ld((const fdt32_t *)data + i), cells[i]);
}

#define EXPECT_CELLS(path, name, ...)                             \
	expect_cells(path, name, (const uint32_t[]){__VA_ARGS__}, \
		     sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static uint32_t cell(const char *path, const char *name)
{
	int len;
	const fdt32_t *data = fdt_getprop(fdt, node(path), name, &len);

	ck_assert_msg(data && len == sizeof(*data), "%s: %s", path, name);
	return fdt32_ld(data);
}

static uint64_t number64(const char *path, const char *name)
{
	int len;
	const fdt64_t *data = fdt_getprop(fdt, node(path), name, &len);

	ck_assert_msg(data && len == sizeof(*data), "%s: %s", path, name);
	return fdt64_ld(data);
}

static unsigned int children(const char *path, const char *prefix)
{
	unsigned int n = 0;
	int at;

	fdt_for_each_subnode(at, fdt, node(path))
		n += strncmp(fdt_get_name(fdt, at, NULL), prefix, strlen(prefix)) == 0;
	return n;
}

/* --- the tests --- */

START_TEST(root)
{
	build();
	ck_assert_int_eq(fdt_num_mem_rsv(fdt), 0);
	EXPECT_CELLS("/", "#address-cells", 2);
	EXPECT_CELLS("/", "#size-cells", 2);
	expect_string("/", "compatible", "linux,dummy-virt");
	/* Where interrupts go to that say no more. */
	ck_assert_int_eq(fdt_node_offset_by_phandle(fdt, cell("/", "interrupt-parent")),
			 node("/interrupt-controller@8000000"));
}
END_TEST

START_TEST(chosen)
{
	static const struct arch_handover none = {.cmdline = ""};
	uint8_t seed[64];
	int len;

	build();
	expect_string("/chosen", "bootargs", "console=ttyS0 quiet");
	ck_assert_uint_eq(number64("/chosen", "linux,initrd-start"), 0x43210000);
	ck_assert_uint_eq(number64("/chosen", "linux,initrd-end"), 0x43211234);
	expect_string("/chosen", "stdout-path", "/serial@10000000");
	node(fdt_getprop(fdt, node("/chosen"), "stdout-path", NULL));
	/* No two machines have the same. */
	number64("/chosen", "kaslr-seed");
	memcpy(seed, fdt_getprop(fdt, node("/chosen"), "rng-seed", &len), sizeof(seed));
	ck_assert_int_eq(len, sizeof(seed));

	build_with(&none);
	expect_string("/chosen", "bootargs", "");
	ck_assert(!has("/chosen", "linux,initrd-start"));
	ck_assert(!has("/chosen", "linux,initrd-end"));
	ck_assert_mem_ne(fdt_getprop(fdt, node("/chosen"), "rng-seed", &len), seed, sizeof(seed));
}
END_TEST

START_TEST(memory)
{
	build();
	ck_assert_uint_eq(children("/", "memory@"), 1);
	expect_string("/memory@40000000", "device_type", "memory");
	EXPECT_CELLS("/memory@40000000", "reg", 0, 0x40000000, 0, 64 << 20);
	/* Without the 4 GiB that it says it has: only the tree's are written to. */
	mem.regions[0].range.size = 5ULL << 30;
	build();
	mem.regions[0].range.size = 64 * MIB;
	EXPECT_CELLS("/memory@40000000", "reg", 0, 0x40000000, 1, 0x40000000);
}
END_TEST

/* KVM numbers vCPUs 16 to a cluster. */
START_TEST(cpus)
{
	build();
	ck_assert_uint_eq(children("/cpus", "cpu@"), 1);
	platform.cpus = 255;
	build();
	EXPECT_CELLS("/cpus", "#address-cells", 1);
	EXPECT_CELLS("/cpus", "#size-cells", 0);
	ck_assert_uint_eq(children("/cpus", "cpu@"), 255);
	for (uint32_t i = 0; i < 255; i++) {
		uint32_t affinity = i % 16 | i / 16 << 8;
		char path[32];

		snprintf(path, sizeof(path), "/cpus/cpu@%x", affinity);
		EXPECT_CELLS(path, "reg", affinity);
		expect_string(path, "device_type", "cpu");
		expect_string(path, "enable-method", "psci");
	}
}
END_TEST

START_TEST(psci)
{
	build();
	/* By 0.2 and later, which fix the functions' numbers. */
	ck_assert_int_ge(fdt_stringlist_search(fdt, node("/psci"), "compatible", "arm,psci-1.0"),
			 0);
	ck_assert_int_ge(fdt_stringlist_search(fdt, node("/psci"), "compatible", "arm,psci-0.2"),
			 0);
	expect_string("/psci", "method", "hvc");
}
END_TEST

START_TEST(timer)
{
	build();
	expect_string("/timer", "compatible", "arm,armv8-timer");
	EXPECT_CELLS("/timer", "interrupts", PPI, 13, LEVEL_HIGH, PPI, 14, LEVEL_HIGH, PPI, 11,
		     LEVEL_HIGH, PPI, 10, LEVEL_HIGH);
}
END_TEST

#define GIC "/interrupt-controller@8000000"
#define ITS "/interrupt-controller@8000000/msi-controller@8080000"
#define PCI "/pci@20000000"

START_TEST(gic_v3)
{
	platform.cpus = 4;
	build();
	expect_string(GIC, "compatible", "arm,gic-v3");
	ck_assert(has(GIC, "interrupt-controller"));
	EXPECT_CELLS(GIC, "#interrupt-cells", 3);
	/* Distributor, and a redistributor of two frames for each CPU. */
	EXPECT_CELLS(GIC, "reg", 0, 0x08000000, 0, 0x10000, 0, 0x0a000000, 0, 4 * 0x20000);
	ck_assert_uint_eq(children(GIC, "msi-controller@"), 1);
	expect_string(ITS, "compatible", "arm,gic-v3-its");
	ck_assert(has(ITS, "msi-controller"));
	EXPECT_CELLS(ITS, "#msi-cells", 1);
	EXPECT_CELLS(ITS, "reg", 0, 0x08080000, 0, 0x20000);
	/* What a VM that doesn't exist yet would have. */
	platform.vm = NULL;
	build();
	expect_string(GIC, "compatible", "arm,gic-v3");
}
END_TEST

START_TEST(gic_v2)
{
	vm.irqchip = GIC_V2;
	platform.cpus = 4;
	build();
	expect_string(GIC, "compatible", "arm,cortex-a15-gic");
	EXPECT_CELLS(GIC, "reg", 0, 0x08000000, 0, 0x1000, 0, 0x08010000, 0, 0x2000);
	ck_assert_uint_eq(children(GIC, ""), 0);
	EXPECT_CELLS(GIC, "#address-cells", 0);
	/* The CPUs that a PPI reaches are in its flags. */
	EXPECT_CELLS("/timer", "interrupts", PPI, 13, 0xf04, PPI, 14, 0xf04, PPI, 11, 0xf04, PPI,
		     10, 0xf04);
	ck_assert(!has(PCI, "msi-map"));
	EXPECT_CELLS(PCI, "interrupt-map", 0 << 11, 0, 0, 1, 1, SPI, 4, LEVEL_HIGH, 1 << 11, 0, 0,
		     1, 1, SPI, 5, LEVEL_HIGH, 2 << 11, 0, 0, 1, 1, SPI, 6, LEVEL_HIGH, 3 << 11, 0,
		     0, 1, 1, SPI, 7, LEVEL_HIGH);
}
END_TEST

START_TEST(pci_host)
{
	uint32_t gic;

	build();
	gic = cell(GIC, "phandle");
	expect_string(PCI, "compatible", "pci-host-ecam-generic");
	expect_string(PCI, "device_type", "pci");
	EXPECT_CELLS(PCI, "reg", 0, 0x20000000, 0, PCI_ECAM_SIZE);
	EXPECT_CELLS(PCI, "bus-range", 0, 0);
	/* 32-bit memory, at the same addresses on both sides. */
	EXPECT_CELLS(PCI, "ranges", 0x02000000, 0, 0x30000000, 0, 0x30000000, 0, 0x10000000);
	/* Each requester ID is the ITS's device ID. */
	EXPECT_CELLS(PCI, "msi-map", 0, cell(ITS, "phandle"), 0, 0x10000);
	EXPECT_CELLS(PCI, "interrupt-map-mask", 3 << 11, 0, 0, 7);
	EXPECT_CELLS(PCI, "interrupt-map", 0 << 11, 0, 0, 1, gic, 0, 0, SPI, 4, LEVEL_HIGH, 1 << 11,
		     0, 0, 1, gic, 0, 0, SPI, 5, LEVEL_HIGH, 2 << 11, 0, 0, 1, gic, 0, 0, SPI, 6,
		     LEVEL_HIGH, 3 << 11, 0, 0, 1, gic, 0, 0, SPI, 7, LEVEL_HIGH);
	platform.pci = NULL;
	build();
	ck_assert_uint_eq(children("/", "pci@"), 0);
}
END_TEST

START_TEST(serial)
{
	build();
	expect_string("/serial@10000000", "compatible", "ns16550a");
	EXPECT_CELLS("/serial@10000000", "reg", 0, 0x10000000, 0, 8);
	EXPECT_CELLS("/serial@10000000", "interrupts", SPI, 1, EDGE_RISING);
	ck_assert_uint_gt(cell("/serial@10000000", "clock-frequency"), 0);
}
END_TEST

START_TEST(small_devices)
{
	build();
	expect_string("/pvpanic@10010000", "compatible", "qemu,pvpanic-mmio");
	EXPECT_CELLS("/pvpanic@10010000", "reg", 0, 0x10010000, 0, 1);
	ck_assert(!has("/pvpanic@10010000", "interrupts"));
	expect_string("/gpio-keys", "compatible", "gpio-keys");
	EXPECT_CELLS("/gpio-keys/power", "linux,code", KEY_POWER);
	EXPECT_CELLS("/gpio-keys/power", "interrupts", SPI, 2, EDGE_RISING);
	/* Those without a driver have no node. */
	ck_assert_uint_eq(children("/", "debug"), 0);
	ck_assert_uint_eq(children("/", ""), 12);
}
END_TEST

START_TEST(virtio_mmio)
{
	build();
	ck_assert_uint_eq(children("/", "virtio@"), 2);
	place(LAYOUT_MAX_VIRTIO_MMIO);
	build();
	ck_assert_uint_eq(children("/", "virtio@"), LAYOUT_MAX_VIRTIO_MMIO);
	for (uint32_t i = 0; i < LAYOUT_MAX_VIRTIO_MMIO; i++) {
		const uint32_t base = 0x10100000 + i * 0x1000;
		char path[32];

		snprintf(path, sizeof(path), "/virtio@%x", base);
		expect_string(path, "compatible", "virtio,mmio");
		ck_assert(has(path, "dma-coherent"));
		EXPECT_CELLS(path, "reg", 0, base, 0, 0x1000);
		EXPECT_CELLS(path, "interrupts", SPI, 16 + i, EDGE_RISING);
	}
}
END_TEST

START_TEST(no_room)
{
	static char cmdline[LAYOUT_TREE_MAX + 1];
	const struct arch_handover large = {.cmdline = cmdline};
	gpa_t tables;

	memset(cmdline, 'x', sizeof(cmdline) - 1);
	ck_assert_int_eq(arch_write_tables(&mem, &platform, &large, &tables, &err), -EINVAL);
	assert_error(err, -EINVAL, "device tree: FDT_ERR_NOSPACE");
	mem.regions[0].range.base += LAYOUT_TREE_MAX;
	ck_assert_int_eq(arch_write_tables(&mem, &platform, &handover, &tables, &err), -EFAULT);
	assert_error(err, -EFAULT, "no memory at 0x40000000");
	mem.regions[0].range.base -= LAYOUT_TREE_MAX;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aarch64/device_tree");
	TCase *tc = tcase_create("tree");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, root);
	tcase_add_test(tc, chosen);
	tcase_add_test(tc, memory);
	tcase_add_test(tc, cpus);
	tcase_add_test(tc, psci);
	tcase_add_test(tc, timer);
	tcase_add_test(tc, gic_v3);
	tcase_add_test(tc, gic_v2);
	tcase_add_test(tc, pci_host);
	tcase_add_test(tc, serial);
	tcase_add_test(tc, small_devices);
	tcase_add_test(tc, virtio_mmio);
	tcase_add_test(tc, no_room);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
