/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's Image for arm64, raw and in gzip: what is read of it, refused, and put into memory. */
#include "boot/aarch64/linux_image.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "tests/unit/aarch64/kernel_files.h"

enum {
	MEMORY = 0x40000,
	BASE = 0x10000,
	PACKED_MAX = 128 << 10,
	READ_SIZE = 65536, /* of the file at a time */
};

struct packed {
	uint8_t bytes[PACKED_MAX];
	size_t len;
};

static union test_image image;
static struct packed packed;
static struct memory_range extent;
static struct error err;

static void setup(void)
{
	test_image_init(&image);
	packed.len = 0;
	err = (struct error){0};
}

/* Append a gzip member with @len bytes of @data. */
static void pack(const void *data, size_t len)
{
	z_stream stream = {.next_in = (void *)(uintptr_t)data,
			   .avail_in = (uInt)len,
			   .next_out = packed.bytes + packed.len,
			   .avail_out = (uInt)(sizeof(packed.bytes) - packed.len)};

	ck_assert_int_eq(
		deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	packed.len += stream.total_out;
	deflateEnd(&stream);
}

/* Give the only member an extra field (RFC 1952, 2.3.1.1) with which it has @len bytes. */
static void stretch(size_t len)
{
	enum {
		HEADER = 10,
		FEXTRA = 4
	};
	size_t extra = len - packed.len - 2;

	memmove(packed.bytes + HEADER + 2 + extra, packed.bytes + HEADER, packed.len - HEADER);
	memset(packed.bytes + HEADER, 0, 2 + extra);
	packed.bytes[3] |= FEXTRA;
	packed.bytes[HEADER] = (uint8_t)extra;
	packed.bytes[HEADER + 1] = (uint8_t)(extra >> 8);
	packed.len = len;
}

static void append(const void *bytes, size_t len)
{
	ck_assert_uint_le(len, sizeof(packed.bytes) - packed.len);
	memcpy(packed.bytes + packed.len, bytes, len);
	packed.len += len;
}

/* linux_image_open() of a file with these bytes, and if that goes well linux_image_load(). */
static int open_bytes(const void *bytes, size_t len, bool gzip, const struct guest_memory *mem)
{
	struct test_file f = test_file_make(bytes, len);
	struct image file;
	int ret;

	ck_assert_int_eq(image_open(&file, f.path, &err), 0);
	ret = linux_image_open(&file, gzip, BASE, &extent, &err);
	if (!ret && mem)
		ret = linux_image_load(&file, gzip, &extent, mem, &err);
	image_close(&file);
	test_file_close(&f);
	return ret;
}

static int open_raw(void)
{
	return open_bytes(&image, sizeof(image), false, NULL);
}

static int load_packed(void)
{
	struct guest_memory mem = test_memory(MEMORY);
	int ret = open_bytes(packed.bytes, packed.len, true, &mem);
	const uint8_t *at = memory_translate(&mem, gpa(0), MEMORY);

	/* Whatever it is, it writes nowhere else. */
	for (size_t i = 0; i < MEMORY; i++) {
		if (at[i] && (i < extent.base || i >= extent.base + extent.size))
			ck_abort_msg("written at %#zx", i);
	}
	if (!ret)
		ck_assert_mem_eq(at + extent.base, &image, sizeof(image));
	memory_destroy(&mem);
	return ret;
}

/* --- the header --- */

START_TEST(matches_by_magic)
{
	static const uint8_t gzip[] = {0x1f, 0x8b};

	ck_assert(linux_image_match(image.bytes, 64));
	ck_assert(!linux_image_match(image.bytes, 63));
	for (size_t i = 0; i < 4; i++) {
		image.header.magic[i]++;
		ck_assert(!linux_image_match(image.bytes, 64));
		image.header.magic[i]--;
	}
	ck_assert(linux_image_match_gzip(gzip, 2));
	ck_assert(!linux_image_match_gzip(gzip, 1));
	ck_assert(!linux_image_match_gzip(image.bytes, 64));
}
END_TEST

START_TEST(reads_header)
{
	ck_assert_int_eq(open_raw(), 0);
	ck_assert_uint_eq(extent.base, BASE);
	ck_assert_uint_eq(extent.size, IMAGE_SIZE);

	image.header.text_offset = htole64(0x80000);
	ck_assert_int_eq(open_raw(), 0);
	ck_assert_uint_eq(extent.base, BASE + 0x80000);
	ck_assert_uint_eq(extent.size, IMAGE_SIZE);

	/* What is loaded counts where image_size says too little. */
	image.header.image_size = htole64(1);
	ck_assert_int_eq(open_raw(), 0);
	ck_assert_uint_eq(extent.size, sizeof(image));

	/* A number of 64 bits: it is the caller who knows how much room there is. */
	image.header.image_size = UINT64_MAX;
	ck_assert_int_eq(open_raw(), 0);
	ck_assert_uint_eq(extent.size, UINT64_MAX);
}
END_TEST

/* Endianness, page size and placement are between the kernel and the CPU; any of them boots. */
START_TEST(takes_any_flags)
{
	for (uint64_t flags = 0; flags < 16; flags++) {
		image.header.flags = htole64(flags);
		ck_assert_int_eq(open_raw(), 0);
		ck_assert_uint_eq(extent.base, BASE);
	}
}
END_TEST

static void assert_refused(int ret, int code, const char *part)
{
	ck_assert_int_eq(ret, code);
	assert_error(err, code, part);
}

START_TEST(refuses_damaged_header)
{
	image.header.image_size = 0;
	assert_refused(open_raw(), -ENOEXEC, "Linux 3.17 or later");
	image.header.image_size = htole64(IMAGE_SIZE);
	image.header.text_offset = htole64(0x1fffff);
	ck_assert_int_eq(open_raw(), 0);
	image.header.text_offset = htole64(0x200000);
	assert_refused(open_raw(), -ENOEXEC, "text offset is 0x200000");
	image.header.text_offset = UINT64_MAX;
	assert_refused(open_raw(), -ENOEXEC, "text offset is 0xffffffffffffffff");
	assert_refused(open_bytes(&image, 63, false, NULL), -ENODATA,
		       "the header ends at byte 64, the file has 63");
}
END_TEST

START_TEST(loads_raw)
{
	struct guest_memory mem = test_memory(MEMORY);
	const uint8_t *at = memory_translate(&mem, gpa(BASE), IMAGE_SIZE);

	ck_assert_int_eq(open_bytes(&image, sizeof(image), false, &mem), 0);
	ck_assert_mem_eq(at, &image, sizeof(image));
	ck_assert_uint_eq(at[-1], 0);
	ck_assert_uint_eq(at[sizeof(image)], 0);
	memory_destroy(&mem);
}
END_TEST

/* --- gzip --- */

START_TEST(loads_gzip)
{
	pack(&image, sizeof(image));
	ck_assert_msg(load_packed() == 0, "%s", err.text);
	ck_assert_uint_eq(extent.base, BASE);
	ck_assert_uint_eq(extent.size, IMAGE_SIZE);
}
END_TEST

START_TEST(gzip_that_fills_its_extent)
{
	image.header.image_size = htole64(sizeof(image));
	pack(&image, sizeof(image));
	ck_assert_msg(load_packed() == 0, "%s", err.text);
	ck_assert_uint_eq(extent.size, sizeof(image));
	/* All of it is there when only half of the checksum is. */
	stretch(READ_SIZE + 4 + 2);
	ck_assert_msg(load_packed() == 0, "%s", err.text);
	packed.bytes[packed.len - 8]++;
	ck_assert_int_eq(load_packed(), -ENOEXEC);
}
END_TEST

START_TEST(refuses_truncated_gzip)
{
	size_t whole;

	pack(&image, sizeof(image));
	whole = packed.len;
	for (packed.len = 2; packed.len < whole; packed.len++)
		assert_refused(load_packed(), -ENODATA, "truncated: its gzip stream doesn't end");
}
END_TEST

START_TEST(refuses_damaged_gzip)
{
	pack(&image, sizeof(image));
	packed.bytes[2]++; /* the method */
	assert_refused(load_packed(), -ENOEXEC, "damaged: gzip: unknown compression method");
	packed.bytes[2]--;
	packed.bytes[packed.len - 8]++; /* the checksum */
	assert_refused(load_packed(), -ENOEXEC, "damaged: gzip: incorrect data check");
	packed.bytes[packed.len - 8]--;
	packed.bytes[packed.len - 1]++; /* the length */
	assert_refused(load_packed(), -ENOEXEC, "damaged: gzip: incorrect length check");
	packed.bytes[packed.len - 1]--;
	ck_assert_int_eq(load_packed(), 0);
}
END_TEST

START_TEST(refuses_gzip_of_something_else)
{
	pack("#!/bin/sh\n", 10);
	assert_refused(load_packed(), -ENOEXEC, "no arm64 Image");
	setup();
	pack("", 0);
	assert_refused(load_packed(), -ENOEXEC, "no arm64 Image");
	setup();
	pack(&image, 63);
	assert_refused(load_packed(), -ENOEXEC, "no arm64 Image");
	setup();
	image.header.magic[0]++;
	pack(&image, sizeof(image));
	assert_refused(load_packed(), -ENOEXEC, "no arm64 Image");
	/* In gzip twice. */
	test_image_init(&image);
	packed.len = 0;
	pack(&image, sizeof(image));
	memcpy(image.bytes, packed.bytes, sizeof(image));
	packed.len = 0;
	pack(&image, sizeof(image));
	assert_refused(load_packed(), -ENOEXEC, "no arm64 Image");
}
END_TEST

/* However much is in it, no more than the header says is ever unpacked. */
START_TEST(refuses_bomb)
{
	static uint8_t huge[8 << 20];

	memcpy(huge, &image, sizeof(image));
	pack(huge, sizeof(huge));
	assert_refused(load_packed(), -ENOEXEC, "more than the 65536 bytes that its header says");
	ck_assert_uint_eq(extent.size, IMAGE_SIZE);
	/* One byte is too much, too. */
	image.header.image_size = htole64(sizeof(image) - 1);
	packed.len = 0;
	pack(&image, sizeof(image));
	assert_refused(load_packed(), -ENOEXEC, "more than the 4095 bytes that its header says");
	/* zlib counts in 32 bits. */
	image.header.image_size = htole64(1ULL << 32);
	packed.len = 0;
	pack(&image, sizeof(image));
	assert_refused(load_packed(), -ENOEXEC, "it says it has 4294967296 bytes");
}
END_TEST

/* As gunzip does; but half a kernel is none. */
START_TEST(what_follows_gzip)
{
	pack(&image, sizeof(image));
	append("\x1f", 1);
	ck_assert_msg(load_packed() == 0, "%s", err.text);
	append("garbage", 7);
	ck_assert_msg(load_packed() == 0, "%s", err.text);

	packed.len = 0;
	pack(&image, sizeof(image) / 2);
	pack(image.bytes + sizeof(image) / 2, sizeof(image) / 2);
	assert_refused(load_packed(), -ENOEXEC, "several gzip members");
}
END_TEST

START_TEST(gzip_larger_than_memory)
{
	image.header.image_size = htole64(MEMORY - BASE + 1);
	pack(&image, sizeof(image));
	assert_refused(load_packed(), -EFAULT, "no memory at 0x10000 for 196609 bytes");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot/linux_image");
	TCase *header = tcase_create("header"), *gzip = tcase_create("gzip");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(header, setup, NULL);
	tcase_add_test(header, matches_by_magic);
	tcase_add_test(header, reads_header);
	tcase_add_test(header, takes_any_flags);
	tcase_add_test(header, refuses_damaged_header);
	tcase_add_test(header, loads_raw);
	suite_add_tcase(suite, header);
	tcase_add_checked_fixture(gzip, setup, NULL);
	tcase_set_timeout(gzip, 30);
	tcase_add_test(gzip, loads_gzip);
	tcase_add_test(gzip, gzip_that_fills_its_extent);
	tcase_add_test(gzip, refuses_truncated_gzip);
	tcase_add_test(gzip, refuses_damaged_gzip);
	tcase_add_test(gzip, refuses_gzip_of_something_else);
	tcase_add_test(gzip, refuses_bomb);
	tcase_add_test(gzip, what_follows_gzip);
	tcase_add_test(gzip, gzip_larger_than_memory);
	suite_add_tcase(suite, gzip);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
