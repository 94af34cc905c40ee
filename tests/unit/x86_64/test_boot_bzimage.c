/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "boot/x86_64/bzimage.h"
#include "tests/unit/x86_64/kernel_files.h"

/* bzimage_open() of the first @len bytes of @file. */
static int open_bytes(const union test_bzimage *file, size_t len, struct bzimage *bz,
		      struct memory_range *extent, struct error *err)
{
	struct test_file f = test_file_make(file, len);
	struct image image;
	int ret;

	ck_assert_int_eq(image_open(&image, f.path, err), 0);
	ret = bzimage_open(bz, &image, extent, err);
	image_close(&image);
	test_file_close(&f);
	return ret;
}

START_TEST(matches_by_magic)
{
	union test_bzimage file;

	test_bzimage_init(&file);
	ck_assert(bzimage_match(file.bytes, 0x206));
	ck_assert(!bzimage_match(file.bytes, 0x205));
	file.header.boot_flag = 0xaa54;
	ck_assert(!bzimage_match(file.bytes, 1024));
	test_bzimage_init(&file);
	file.header.header++;
	ck_assert(!bzimage_match(file.bytes, 1024));
}
END_TEST

START_TEST(reads_header)
{
	union test_bzimage file;
	struct memory_range extent;
	struct bzimage bz;

	test_bzimage_init(&file);
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &bz, &extent, NULL), 0);
	ck_assert_uint_eq(bz.offset, BZIMAGE_SETUP);
	ck_assert_uint_eq(bz.size, BZIMAGE_PAYLOAD);
	ck_assert_uint_eq(bz.entry, BZIMAGE_PREF + 0x200);
	ck_assert_uint_eq(extent.base, BZIMAGE_PREF);
	ck_assert_uint_eq(extent.size, BZIMAGE_INIT_SIZE);
	ck_assert_mem_eq(&bz.header, &file.header, sizeof(bz.header));

	/* boot.rst: setup_sects 0 means 4. */
	file.header.setup_sects = 0;
	file.header.syssize -= 512 / 16;
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &bz, &extent, NULL), 0);
	ck_assert_uint_eq(bz.offset, 5 * 512);

	/* What is loaded counts where init_size says too little. */
	file.header.init_size = 16;
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &bz, &extent, NULL), 0);
	ck_assert_uint_eq(extent.size, bz.size);
}
END_TEST

START_TEST(takes_no_more_header_than_there_is)
{
	union test_bzimage file;
	struct memory_range extent;
	struct bzimage bz;

	/* 2.12 ends before kernel_info_offset; there is the kernel's setup code instead. */
	test_bzimage_init(&file);
	file.header.version = 0x020c;
	file.header.jump = 0xeb | 0x66 << 8;
	file.header.handover_offset = 0x1234;
	file.header.kernel_info_offset = 0xdeadbeef;
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &bz, &extent, NULL), 0);
	ck_assert_uint_eq(bz.header.handover_offset, 0x1234);
	ck_assert_uint_eq(bz.header.kernel_info_offset, 0);

	/* A later one has more than we know. */
	file.header.jump = 0xeb | 0xff << 8;
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &bz, &extent, NULL), 0);
	ck_assert_uint_eq(bz.header.kernel_info_offset, 0xdeadbeef);
}
END_TEST

static void assert_refused(const union test_bzimage *file, size_t len, int code, const char *part)
{
	struct error err = {0};
	struct memory_range extent;
	struct bzimage bz;

	ck_assert_int_eq(open_bytes(file, len, &bz, &extent, &err), code);
	assert_error(err, code, part);
}

START_TEST(refuses_kernels_it_cannot_enter)
{
	union test_bzimage file;

	test_bzimage_init(&file);
	file.header.version = 0x020b;
	assert_refused(&file, sizeof(file), -ENOEXEC, "boot protocol 2.11; xvmm needs 2.12");
	test_bzimage_init(&file);
	file.header.loadflags = 0;
	assert_refused(&file, sizeof(file), -ENOEXEC, "zImage");
	test_bzimage_init(&file);
	file.header.xloadflags = 0xfffe;
	assert_refused(&file, sizeof(file), -ENOEXEC, "32-bit kernel");
}
END_TEST

START_TEST(refuses_damaged_files)
{
	union test_bzimage file;

	test_bzimage_init(&file);
	assert_refused(&file, sizeof(file) - 1, -ENODATA,
		       "the kernel ends at byte 6144, the file has 6143");
	assert_refused(&file, BZIMAGE_SETUP, -ENODATA, "the file has 2048");
	assert_refused(&file, 0x26b, -ENODATA, "the setup header");
	assert_refused(&file, 1, -ENODATA, "the setup header");
	file.header.setup_sects = 255;
	assert_refused(&file, sizeof(file), -ENODATA, "ends at byte 135168");
	file.header.setup_sects = BZIMAGE_SECTS;
	file.header.syssize = UINT32_MAX;
	assert_refused(&file, sizeof(file), -ENODATA, "ends at byte 68719478768");
	file.header.syssize = 0x200 / 16;
	assert_refused(&file, sizeof(file), -ENOEXEC, "only 512 bytes");
	file.header.syssize = 0;
	assert_refused(&file, sizeof(file), -ENOEXEC, "only 0 bytes");
	test_bzimage_init(&file);
	file.header.jump = 0xeb | 0x61 << 8;
	assert_refused(&file, sizeof(file), -ENOEXEC, "setup header has only 114 bytes");
	file.header.jump = 0xeb | 0x62 << 8;
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &(struct bzimage){0},
				    &(struct memory_range){0}, NULL),
			 0);
}
END_TEST

START_TEST(loads_where_it_belongs)
{
	struct guest_memory mem = test_memory(32 * MIB);
	union test_bzimage file;
	struct test_file f;
	struct memory_range extent;
	struct bzimage bz;
	struct image image;
	uint8_t *at = memory_translate(&mem, gpa(BZIMAGE_PREF), BZIMAGE_INIT_SIZE);

	test_bzimage_init(&file);
	f = test_file_make(&file, sizeof(file));
	ck_assert_int_eq(image_open(&image, f.path, NULL), 0);
	ck_assert_int_eq(bzimage_open(&bz, &image, &extent, NULL), 0);
	ck_assert_int_eq(bzimage_load(&bz, &image, &mem, NULL), 0);
	ck_assert_mem_eq(at, file.bytes + BZIMAGE_SETUP, BZIMAGE_PAYLOAD);
	ck_assert_uint_eq(at[BZIMAGE_PAYLOAD], 0);
	ck_assert_uint_eq(at[-1], 0);
	image_close(&image);
	memory_destroy(&mem);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot/bzimage");
	TCase *tc = tcase_create("bzimage");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, matches_by_magic);
	tcase_add_test(tc, reads_header);
	tcase_add_test(tc, takes_no_more_header_than_there_is);
	tcase_add_test(tc, refuses_kernels_it_cannot_enter);
	tcase_add_test(tc, refuses_damaged_files);
	tcase_add_test(tc, loads_where_it_belongs);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
