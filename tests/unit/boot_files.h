/* SPDX-License-Identifier: Apache-2.0 */
/* Files and guest memory for the tests of boot/. Kernels: kernel_files.h of the architecture. */
#ifndef TESTS_UNIT_BOOT_FILES_H
#define TESTS_UNIT_BOOT_FILES_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory.h"

#define MIB (1ULL << 20)

/* --- files --- */

struct test_file {
	int fd;
	char path[32];
};

/* A file with @len bytes of @data. It goes with the test's process, or by test_file_close(). */
static inline struct test_file test_file_make(const void *data, size_t len)
{
	struct test_file file = {.fd = memfd_create("test", MFD_CLOEXEC)};

	ck_assert_int_ge(file.fd, 0);
	ck_assert_int_eq(fd_write_all(file.fd, data, len), 0);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

static inline void test_file_close(struct test_file *file)
{
	fd_close(&file->fd);
}

/* The error is of this code, and its text has @part in it. */
#define assert_error(err, expected, part)                                                \
	do {                                                                             \
		ck_assert_int_eq((err).code, (expected));                                \
		ck_assert_msg(strstr((err).text, (part)) != NULL, "\"%s\" lacks \"%s\"", \
			      (err).text, (part));                                       \
	} while (0)

/* --- guest memory --- */

static inline struct guest_memory test_memory(uint64_t size)
{
	static const struct memory_config config;
	const struct memory_range range = {0, size};
	struct guest_memory mem;

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	return mem;
}

#endif
