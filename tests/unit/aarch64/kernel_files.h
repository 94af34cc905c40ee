/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of aarch64, as small as can be: changed by a test, then made a file. */
#ifndef TESTS_UNIT_AARCH64_KERNEL_FILES_H
#define TESTS_UNIT_AARCH64_KERNEL_FILES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/boot_files.h"

enum {
	IMAGE_FILE_SIZE = 4096,
	IMAGE_SIZE = 0x10000, /* of memory */
};

/* Documentation/arm64/booting.rst; all of it little-endian. */
union test_image {
	uint8_t bytes[IMAGE_FILE_SIZE];
	struct {
		uint32_t code[2];
		uint64_t text_offset;
		uint64_t image_size;
		uint64_t flags;
		uint64_t reserved[3];
		char magic[4];
		uint32_t pe_offset;
	} header;
};

static inline void test_image_init(union test_image *image)
{
	for (size_t i = 0; i < sizeof(image->bytes); i++)
		image->bytes[i] = (uint8_t)(i * 7 + 1);
	memset(&image->header, 0, sizeof(image->header));
	image->header.image_size = htole64(IMAGE_SIZE);
	image->header.flags = htole64(1 << 1 | 1 << 3); /* pages of 4 KiB; anywhere */
	memcpy(image->header.magic, "ARM\x64", 4);
}

/* One that boots, whichever it is: each architecture's kernel_files.h has this. */
static inline struct test_file test_kernel_make(void)
{
	union test_image image;

	test_image_init(&image);
	return test_file_make(&image, sizeof(image));
}

#endif
