/* SPDX-License-Identifier: Apache-2.0 */
/* boot/boot.c with aarch64's kernels under it: from files to what the guest finds in its memory. */
#include <check.h>
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <zlib.h>

#include "arch/aarch64/layout.h"
#include "boot/boot.h"
#include "tests/unit/aarch64/kernel_files.h"

enum {
	CMDLINE_MAX = 2047,
};

static struct error err;
static struct boot_config config;
static struct boot_image *image;
static struct guest_memory mem;
static struct arch_entry entry;
static union test_image kernel;
static const struct arch_platform platform = {.cpus = 1};

static void resize_memory(uint64_t size)
{
	static const struct memory_config memory_config;
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	int n = arch_memory_ranges(size, ranges, &err);

	memory_destroy(&mem);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(memory_create(&mem, ranges, (size_t)n, &memory_config, &err), 0);
}

static void set_up(void)
{
	test_image_init(&kernel);
	resize_memory(64 * MIB);
}

static void tear_down(void)
{
	boot_close(image);
	memory_destroy(&mem);
}

static int open_kernel(const void *bytes, size_t len)
{
	static struct test_file file;

	file = test_file_make(bytes, len);
	config.kernel = file.path;
	boot_close(image);
	return boot_open(&config, &image, &err);
}

static int load(void)
{
	int ret = boot_load(image, &mem, &err);

	return ret ? ret : boot_hand_over(image, &mem, &platform, &entry, &err);
}

static void open_and_load(void)
{
	ck_assert_msg(open_kernel(&kernel, sizeof(kernel)) == 0, "%s", err.text);
	ck_assert_msg(load() == 0, "%s", err.text);
}

static void use_initrd(uint64_t size)
{
	static struct test_file file;

	file = test_file_make("initrd", 6);
	ck_assert_int_eq(ftruncate(file.fd, (off_t)size), 0);
	config.initrd = file.path;
}

static const void *chosen(const char *name)
{
	const void *fdt = memory_translate(&mem, entry.params, LAYOUT_TREE_MAX);

	ck_assert_int_eq(fdt_check_full(fdt, LAYOUT_TREE_MAX), 0);
	return fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), name, NULL);
}

/* Where the initrd is, and that the guest is told so. */
static uint64_t initrd(uint64_t size)
{
	uint64_t start = fdt64_ld(chosen("linux,initrd-start"));

	ck_assert_uint_eq(fdt64_ld(chosen("linux,initrd-end")) - start, size);
	ck_assert_str_eq(memory_translate(&mem, gpa(start), size), "initrd");
	return start;
}

START_TEST(image_as_it_is)
{
	config.cmdline = "console=ttyS0 quiet";
	kernel.header.text_offset = htole64(0x80000);
	open_and_load();
	ck_assert_int_eq(entry.protocol, BOOT_PROTOCOL_LINUX64);
	ck_assert_uint_eq(entry.entry.value, LAYOUT_KERNEL + 0x80000);
	ck_assert_uint_eq(entry.params.value, LAYOUT_TREE);
	ck_assert_uint_eq(boot_kernel_size(image), IMAGE_SIZE);
	ck_assert_str_eq(chosen("bootargs"), "console=ttyS0 quiet");
	ck_assert_ptr_null(chosen("linux,initrd-start"));
	ck_assert_mem_eq(memory_translate(&mem, entry.entry, sizeof(kernel)), &kernel,
			 sizeof(kernel));

	config.protocol = BOOT_PROTOCOL_LINUX64;
	config.cmdline = NULL;
	open_and_load();
	ck_assert_str_eq(chosen("bootargs"), "");
}
END_TEST

static int open_in_gzip(void)
{
	struct test_file file = test_file_make("", 0);
	gzFile gzip = gzdopen(dup(file.fd), "wb");

	ck_assert_ptr_nonnull(gzip);
	ck_assert_int_eq(gzwrite(gzip, &kernel, sizeof(kernel)), sizeof(kernel));
	ck_assert_int_eq(gzclose(gzip), Z_OK);
	config.kernel = file.path;
	boot_close(image);
	return boot_open(&config, &image, &err);
}

/* A kernel that is unpacked is there at once, perhaps in the last block that the initrd needs. */
START_TEST(only_plain_ones_can_be_loaded_later)
{
	use_initrd(5 * MIB);
	ck_assert_msg(open_kernel(&kernel, sizeof(kernel)) == 0, "%s", err.text);
	ck_assert(boot_can_load_later(image));
	ck_assert_msg(open_in_gzip() == 0, "%s", err.text);
	ck_assert(!boot_can_load_later(image));
	ck_assert(boot_is_large(image));
}
END_TEST

START_TEST(refuses_pvh)
{
	config.protocol = BOOT_PROTOCOL_PVH;
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "no PVH entry, which is for x86");
}
END_TEST

START_TEST(says_how_much_memory_a_kernel_takes)
{
	kernel.header.image_size = htole64(62 * MIB);
	open_and_load();
	kernel.header.image_size = htole64(62 * MIB + 1);
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), 0);
	ck_assert_int_eq(load(), -ENOMEM);
	assert_error(err, -ENOMEM, "try: --memory 65M or more");
	/* No amount of memory helps: 32 GiB, but for the tree's 2 MiB. */
	kernel.header.image_size = htole64((32ULL << 30) - 2 * MIB);
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), 0);
	kernel.header.image_size = htole64((32ULL << 30) - 2 * MIB + 1);
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "kernels go from 0x40200000 to 0x840000000");
	kernel.header.image_size = UINT64_MAX;
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), -ENOEXEC);
}
END_TEST

START_TEST(initrd_above_or_below)
{
	use_initrd(4097);
	open_and_load();
	ck_assert_uint_eq(initrd(4097), LAYOUT_RAM + 64 * MIB - 8192);

	/* All that is left above the kernel; then below it, but not where the tree is. */
	use_initrd(62 * MIB - IMAGE_SIZE);
	open_and_load();
	ck_assert_uint_eq(initrd(62 * MIB - IMAGE_SIZE), LAYOUT_KERNEL + IMAGE_SIZE);
	kernel.header.text_offset = htole64(MIB);
	kernel.header.image_size = htole64(61 * MIB);
	use_initrd(MIB);
	open_and_load();
	ck_assert_uint_eq(initrd(MIB), LAYOUT_KERNEL);
	use_initrd(MIB + 1);
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), 0);
	ck_assert_int_eq(load(), -ENOMEM);
	assert_error(err, -ENOMEM, "don't fit into memory beside the kernel; try: --memory 66M");
}
END_TEST

START_TEST(refuses_long_cmdline)
{
	static char text[CMDLINE_MAX + 2];

	memset(text, 'x', CMDLINE_MAX);
	config.cmdline = text;
	open_and_load();
	ck_assert_str_eq(chosen("bootargs"), text);
	text[CMDLINE_MAX] = 'x';
	ck_assert_int_eq(open_kernel(&kernel, sizeof(kernel)), -E2BIG);
	assert_error(err, -E2BIG, "2048 bytes, this kernel takes at most 2047");
}
END_TEST

START_TEST(names_strangers)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		const char *part;
	} cases[] = {
		{0x202, "HdrS", 4, "it is a kernel for x86-64; xvmm boots arm64 kernels here"},
		{56, "RSC\x05", 4, "riscv"},
		{36, "\x18\x28\x6f\x01", 4, "32-bit arm"},
		{0, "\x7f\x45LF\2\1\1", 7, "an ELF file (a vmlinux?)"},
		{0, "\xfd\x37zXZ\0", 6, "with xz; unpack it first: unxz -c"},
		{0, "MZ\0\0zimg", 8, "EFI firmware"},
		{56, "ARM\x65", 4, "of no known kind, not an Image, as it is or in gzip"},
	};
	uint8_t bytes[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes + cases[i].offset, cases[i].bytes, cases[i].len);
		ck_assert_int_eq(open_kernel(bytes, sizeof(bytes)), -ENOEXEC);
		assert_error(err, -ENOEXEC, cases[i].part);
	}
	/* A header that isn't whole. */
	ck_assert_int_eq(open_kernel(&kernel, 63), -ENOEXEC);
	assert_error(err, -ENOEXEC, "of no known kind");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot of aarch64");
	TCase *tc = tcase_create("load");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, image_as_it_is);
	tcase_add_test(tc, only_plain_ones_can_be_loaded_later);
	tcase_add_test(tc, refuses_pvh);
	tcase_add_test(tc, says_how_much_memory_a_kernel_takes);
	tcase_add_test(tc, initrd_above_or_below);
	tcase_add_test(tc, refuses_long_cmdline);
	tcase_add_test(tc, names_strangers);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
