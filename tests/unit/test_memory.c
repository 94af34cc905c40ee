/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/memory.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/error.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

static const struct memory_range ranges[] = {{0, 16 * MIB}, {4 * GIB, 2 * MIB}};
static struct guest_memory mem;

static void setup(void)
{
	const struct memory_config config = {0};

	ck_assert_int_eq(memory_create(&mem, ranges, 2, &config, NULL), 0);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

START_TEST(regions)
{
	ck_assert_uint_eq(mem.n_regions, 2);
	ck_assert_int_eq(mem.fd, -1);
	ck_assert_uint_eq(memory_size(&mem), 18 * MIB);
	ck_assert_uint_eq(mem.regions[0].fd_offset, 0);
	ck_assert_uint_eq(mem.regions[1].fd_offset, 16 * MIB);
	/* KVM maps huge pages only where guest and host addresses agree below 2 MiB. */
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(((uintptr_t)mem.regions[i].host ^ mem.regions[i].range.base) &
					  (2 * MIB - 1),
				  0);
}
END_TEST

START_TEST(translate)
{
	char *low = mem.regions[0].host, *high = mem.regions[1].host;
	const struct {
		uint64_t addr, len;
		void *host;
	} cases[] = {
		{0, 1, low},
		{0, 0, low},
		{0, 16 * MIB, low},
		{0, 16 * MIB + 1, NULL},
		{0, UINT64_MAX, NULL},
		{1, UINT64_MAX, NULL},
		{1, 16 * MIB - 1, low + 1},
		{1, 16 * MIB, NULL},
		{16 * MIB - 1, 1, low + 16 * MIB - 1},
		{16 * MIB - 1, 2, NULL},
		{16 * MIB - 1, UINT64_MAX, NULL},
		{16 * MIB, 1, NULL},
		{4 * GIB - 1, 1, NULL},
		{4 * GIB - 1, 2, NULL},
		{4 * GIB, 2 * MIB, high},
		{4 * GIB + 2 * MIB - 8, 8, high + 2 * MIB - 8},
		{4 * GIB + 2 * MIB - 8, 9, NULL},
		{4 * GIB + 2 * MIB, 1, NULL},
		{UINT64_MAX, 1, NULL},
		{UINT64_MAX, 2, NULL},
		{UINT64_MAX - 7, 8, NULL},
		{UINT64_MAX - 7, 16, NULL},
		{1ULL << 63, 1ULL << 63, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(memory_translate(&mem, gpa(cases[i].addr), cases[i].len) ==
				      cases[i].host,
			      "case %zu", i);
}
END_TEST

START_TEST(copy)
{
	const uint8_t in[] = {1, 2, 3, 4};
	uint8_t out[4] = {0};

	ck_assert_int_eq(memory_write(&mem, gpa(16 * MIB - 4), in, 4), 0);
	ck_assert_int_eq(memory_read(&mem, gpa(16 * MIB - 4), out, 4), 0);
	ck_assert_mem_eq(in, out, 4);
	ck_assert_int_eq(memory_zero(&mem, gpa_add(gpa(16 * MIB), (uint64_t)-4), 2), 0);
	ck_assert_int_eq(memory_read(&mem, gpa(16 * MIB - 4), out, 4), 0);
	ck_assert(out[0] == 0 && out[1] == 0 && out[2] == 3 && out[3] == 4);
	/* What doesn't fit is not done in part. */
	ck_assert_int_eq(memory_write(&mem, gpa(16 * MIB - 2), in, 4), -EFAULT);
	ck_assert_int_eq(memory_zero(&mem, gpa(16 * MIB - 2), 4), -EFAULT);
	ck_assert_int_eq(memory_read(&mem, gpa(16 * MIB - 2), out, 4), -EFAULT);
	ck_assert_int_eq(memory_read(&mem, gpa(16 * MIB - 4), out, 4), 0);
	ck_assert(out[2] == 3 && out[3] == 4);
}
END_TEST

START_TEST(read_file)
{
	char path[] = "/tmp/test_memory.XXXXXX", out[8] = {0};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	ck_assert_int_eq(memory_read_file(&mem, gpa(0x1000), fd, 2, 8), 0);
	ck_assert_int_eq(memory_read(&mem, gpa(0x1000), out, 8), 0);
	ck_assert_mem_eq(out, "23456789", 8);
	ck_assert_int_eq(memory_read_file(&mem, gpa(0x1000), fd, 3, 8), -ENODATA);
	ck_assert_int_eq(memory_read_file(&mem, gpa(0x1000), fd, 10, 0), 0);
	ck_assert_int_eq(memory_read_file(&mem, gpa(16 * MIB - 4), fd, 0, 8), -EFAULT);
	ck_assert_int_eq(memory_read_file(&mem, gpa(0), fd, UINT64_MAX - 3, 8), -EINVAL);
	ck_assert_int_eq(memory_read_file(&mem, gpa(0), -1, 0, 8), -EBADF);
	close(fd);
}
END_TEST

/* By several system calls, to an address that is not a page's. */
START_TEST(read_large_file)
{
	enum {
		LEN = (3 << 20) + 5
	};
	int fd = memfd_create("file", MFD_CLOEXEC);
	char *data = malloc(LEN), *got = memory_translate(&mem, gpa(MIB), 8 * MIB);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (char)(i * 7 / 4096 + i);
	ck_assert_int_eq(write(fd, data, LEN), LEN);
	ck_assert_int_eq(memory_read_file(&mem, gpa(MIB + 4095), fd, 0, LEN), 0);
	ck_assert_mem_eq(got + 4095, data, LEN);
	ck_assert(got[4094] == 0 && got[4095 + LEN] == 0);
	/* Up to the end of memory, and past that of the file. */
	ck_assert_int_eq(memory_read_file(&mem, gpa(16 * MIB - LEN), fd, 0, LEN), 0);
	ck_assert_mem_eq(memory_translate(&mem, gpa(16 * MIB - LEN), LEN), data, LEN);
	ck_assert_int_eq(memory_read_file(&mem, gpa(MIB), fd, 1, LEN), -ENODATA);
	free(data);
	close(fd);
}
END_TEST

START_TEST(destroy_twice)
{
	struct guest_memory zeroed = {0};

	memory_destroy(&mem);
	memory_destroy(&mem);
	ck_assert_uint_eq(memory_size(&mem), 0);
	ck_assert_ptr_null(memory_translate(&mem, gpa(0), 0));
	/* Must not close descriptor 0, which a zeroed struct doesn't own. */
	memory_destroy(&zeroed);
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
}
END_TEST

/* Another process sees the regions at their offsets in the memfd. */
START_TEST(shared_memory)
{
	const struct memory_config config = {.shared = true, .prealloc = true};
	struct guest_memory m;
	uint8_t *other;

	ck_assert_int_eq(memory_create(&m, ranges, 2, &config, NULL), 0);
	ck_assert_int_ge(m.fd, 0);
	ck_assert(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(memory_write(&m, gpa(4 * GIB + 5), "x", 1), 0);
	ck_assert_int_eq(memory_write(&m, gpa(7), "y", 1), 0);
	other = mmap(NULL, 18 * MIB, PROT_READ, MAP_SHARED, m.fd, 0);
	ck_assert(other != MAP_FAILED);
	ck_assert_uint_eq(other[m.regions[1].fd_offset + 5], 'x');
	ck_assert_uint_eq(other[7], 'y');
	munmap(other, 18 * MIB);
	memory_destroy(&m);
	ck_assert_int_eq(m.fd, -1);
}
END_TEST

/* Else a back-end that cuts the file short would kill whoever touches guest memory: SIGBUS. */
START_TEST(shared_memory_keeps_its_size)
{
	const struct memory_config config = {.shared = true};
	struct guest_memory m;

	ck_assert_int_eq(memory_create(&m, ranges, 2, &config, NULL), 0);
	ck_assert_int_eq(ftruncate(m.fd, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(ftruncate(m.fd, 64 * MIB), -1);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	ck_assert_int_eq(errno, EPERM);
	memory_destroy(&m);
}
END_TEST

static size_t resident(const struct memory_region *region)
{
	size_t pages = region->range.size / 4096, n = 0;
	unsigned char *vec = malloc(pages);

	ck_assert_ptr_nonnull(vec);
	ck_assert_int_eq(mincore(region->host, region->range.size, vec), 0);
	for (size_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

START_TEST(prealloc)
{
	for (int shared = 0; shared < 2; shared++) {
		struct memory_config config = {.shared = shared};
		struct guest_memory m;

		ck_assert_int_eq(memory_create(&m, ranges, 2, &config, NULL), 0);
		ck_assert_uint_eq(resident(&m.regions[0]), 0);
		memory_destroy(&m);
		config.prealloc = true;
		ck_assert_int_eq(memory_create(&m, ranges, 2, &config, NULL), 0);
		ck_assert_uint_eq(resident(&m.regions[0]), 16 * MIB / 4096);
		ck_assert_uint_eq(resident(&m.regions[1]), 2 * MIB / 4096);
		memory_destroy(&m);
	}
}
END_TEST

START_TEST(refused)
{
	/* Programs have 47 bits of address on x86-64, on aarch64 48. */
	const struct memory_range huge[] = {{0, 1ULL << 46}, {1ULL << 50, 1ULL << 48}};
	const struct memory_range odd[] = {{0, 3 * MIB}};
	struct memory_range many[MEMORY_MAX_REGIONS + 1];

	for (int shared = 0; shared < 2; shared++) {
		struct memory_config config = {.shared = shared};
		struct guest_memory m;
		struct error err = {0};

		/* The first region may be mapped; what is left is as if destroyed. */
		ck_assert_int_lt(memory_create(&m, huge, 2, &config, &err), 0);
		ck_assert_str_ne(err.text, "");
		ck_assert_int_eq(m.fd, -1);
		ck_assert_uint_eq(m.n_regions, 0);
		memory_destroy(&m);

		config.hugepages = true;
		ck_assert_int_eq(memory_create(&m, odd, 1, &config, &err), -EINVAL);
		ck_assert(err.usage);
		ck_assert_int_eq(m.fd, -1);

		for (unsigned int i = 0; i <= MEMORY_MAX_REGIONS; i++)
			many[i] = (struct memory_range){i * GIB, MIB};
		config.hugepages = false;
		ck_assert_int_eq(memory_create(&m, many, MEMORY_MAX_REGIONS + 1, &config, &err),
				 -E2BIG);
	}
}
END_TEST

/* With or without a pool of huge pages on this host: memory that works, or an error that helps. */
START_TEST(hugepages)
{
	const struct memory_range one[] = {{0, 4 * MIB}};

	for (int shared = 0; shared < 2; shared++) {
		const struct memory_config config = {
			.shared = shared, .hugepages = true, .prealloc = true};
		struct guest_memory m;
		struct error err = {0};
		int ret = memory_create(&m, one, 1, &config, &err);

		if (ret == 0) {
			ck_assert_int_eq(memory_zero(&m, gpa(0), 4 * MIB), 0);
		} else {
			ck_assert_int_eq(m.fd, -1);
			ck_assert_ptr_nonnull(strstr(err.text, "guest memory"));
			if (ret == -ENOMEM)
				ck_assert_ptr_nonnull(strstr(err.text, "vm.nr_hugepages"));
		}
		memory_destroy(&m);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, regions);
	tcase_add_test(tc, translate);
	tcase_add_test(tc, copy);
	tcase_add_test(tc, read_file);
	tcase_add_test(tc, read_large_file);
	tcase_add_test(tc, destroy_twice);
	tcase_add_test(tc, shared_memory);
	tcase_add_test(tc, shared_memory_keeps_its_size);
	tcase_add_test(tc, prealloc);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, hugepages);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
