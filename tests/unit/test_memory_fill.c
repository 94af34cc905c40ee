/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is filled while it is used. Where /dev/userfaultfd can't be had: skipped. */
#include "vmm/core/memory_fill.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/boot_files.h"
#include "tests/unit/must.h"
#include "vmm/core/error.h"

enum {
	SKIP = 77,
	PAGE = 4096,
	BLOCK = MEMORY_HUGE_PAGE_SIZE,
	FILE_SIZE = 3 * BLOCK + 5 * PAGE + 7,
	MEMORY = (64 << 20) - PAGE, /* the last block isn't whole */
	FIRST = 2 * BLOCK,	    /* where the first file goes; and the second one */
	SECOND = 16 * BLOCK,
};

static struct guest_memory mem;
static struct memory_fill *fill;
static unsigned char *data; /* of a file */
static struct test_file file;

/* A file that nobody can read to its end, as on a server that is gone: until told otherwise. */
static struct hanging {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool on;     /* whoever reads any file hangs */
	int waiting; /* so many do */
} hanging = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Instead of the C library's. */
ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	pthread_mutex_lock(&hanging.lock);
	hanging.waiting++;
	pthread_cond_broadcast(&hanging.changed);
	while (hanging.on)
		pthread_cond_wait(&hanging.changed, &hanging.lock);
	hanging.waiting--;
	pthread_mutex_unlock(&hanging.lock);
	return syscall(SYS_pread64, fd, to, size, offset);
}

/* What the callback was told. */
static struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ended, failed;
	struct error err;
} outcome = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note_end(void *opaque, const struct error *err)
{
	ck_assert_ptr_eq(opaque, &outcome);
	pthread_mutex_lock(&outcome.lock);
	ck_assert(!outcome.ended);
	outcome.ended = true;
	outcome.failed = err != NULL;
	if (err)
		outcome.err = *err;
	pthread_cond_broadcast(&outcome.changed);
	pthread_mutex_unlock(&outcome.lock);
}

static void wait_for_end(void)
{
	pthread_mutex_lock(&outcome.lock);
	while (!outcome.ended)
		pthread_cond_wait(&outcome.changed, &outcome.lock);
	pthread_mutex_unlock(&outcome.lock);
}

static void start(void)
{
	static const struct memory_fill_config config = {.ended = note_end, .opaque = &outcome};

	ck_assert_int_eq(memory_fill_start(fill, &config), 0);
}

static void set_up(void)
{
	mem = test_memory(MEMORY);
	ck_assert_int_eq(memory_fill_create(&mem, &fill), 0);
	data = malloc(FILE_SIZE);
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < FILE_SIZE; i++)
		data[i] = (unsigned char)(1 + i % 251);
	file = test_file_make(data, FILE_SIZE);
}

static void tear_down(void)
{
	memory_fill_destroy(fill);
	memory_destroy(&mem);
	test_file_close(&file);
	free(data);
}

static unsigned char *at(uint64_t addr)
{
	return memory_translate(&mem, gpa(addr), 1);
}

static void add(uint64_t addr, uint64_t offset, uint64_t len)
{
	ck_assert_int_eq(memory_fill_add(fill, gpa(addr), file.fd, offset, len, "file A"), 0);
}

static void expect_file(uint64_t addr, uint64_t offset, uint64_t len)
{
	ck_assert_int_eq(memcmp(at(addr), data + offset, len), 0);
	/* And nothing around it. */
	ck_assert_uint_eq(at(addr)[-1], 0);
	if (addr + len < MEMORY)
		ck_assert_uint_eq(at(addr)[len], 0);
}

/* Wherever pages and blocks begin and end, in memory and in the file. */
static const struct {
	uint64_t addr, offset, len;
} places[] = {
	{FIRST, 0, FILE_SIZE},
	{FIRST + 0x123, 0, FILE_SIZE},
	{FIRST + 0xfff, 1, FILE_SIZE - 1},
	{FIRST, 4095, BLOCK},
	{FIRST + BLOCK - 1, 7, 2},
	{FIRST + 1, 7, PAGE},
	{FIRST + BLOCK - 5, 7, 2 * BLOCK},
	/* In the first block, as a whole and in part. */
	{0x100001, 7, 10},
	{0x100000, 513, FILE_SIZE - 600},
	{BLOCK - 10, 0, 10},
	{BLOCK - 10, 0, 11},
	/* At the end. */
	{MEMORY - FILE_SIZE, 0, FILE_SIZE},
	{MEMORY - 5, 3, 5},
};

START_TEST(fills)
{
	add(places[_i].addr, places[_i].offset, places[_i].len);
	start();
	expect_file(places[_i].addr, places[_i].offset, places[_i].len);
	wait_for_end();
	ck_assert(!outcome.failed);
}
END_TEST

/* Several in a block. */
START_TEST(takes_what_is_close_together)
{
	add(FIRST, 0, 10 * PAGE + 5);
	add(FIRST + 11 * PAGE, 123, 10 * PAGE + 5);
	add(FIRST + BLOCK - PAGE, 1, BLOCK);
	start();
	expect_file(FIRST, 0, 10 * PAGE + 5);
	expect_file(FIRST + 11 * PAGE, 123, 10 * PAGE + 5);
	expect_file(FIRST + BLOCK - PAGE, 1, BLOCK);
}
END_TEST

START_TEST(takes_several_files)
{
	static const char other[2 * PAGE] = "another file";
	struct test_file second = test_file_make(other, sizeof(other));

	add(FIRST, 0, FILE_SIZE);
	ck_assert_int_eq(memory_fill_add(fill, gpa(SECOND), second.fd, 0, sizeof(other), "B"), 0);
	/* It has its own descriptors. */
	test_file_close(&second);
	test_file_close(&file);
	start();
	wait_for_end();
	ck_assert(!outcome.failed);
	expect_file(FIRST, 0, FILE_SIZE);
	ck_assert_str_eq((char *)at(SECOND), other);
}
END_TEST

/* The lowest descriptor that is free. */
static int lowest_free(void)
{
	int fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

/* As of an ELF kernel with many segments; but another file may have the number by then. */
START_TEST(has_one_descriptor_of_a_file)
{
	static const char other[2 * PAGE] = "another file";
	struct test_file second = test_file_make(other, sizeof(other));
	int free_one;

	add(FIRST, 0, PAGE);
	free_one = lowest_free();
	for (uint64_t i = 1; i < 60; i++)
		add(FIRST + i * PAGE, i, PAGE);
	ck_assert_int_eq(lowest_free(), free_one);
	ck_assert_int_ge(dup2(second.fd, file.fd), 0);
	add(SECOND, 0, sizeof(other));
	start();
	wait_for_end();
	ck_assert(!outcome.failed);
	for (uint64_t i = 0; i < 60; i++)
		ck_assert_int_eq(memcmp(at(FIRST + i * PAGE), data + i, PAGE), 0);
	ck_assert_str_eq((char *)at(SECOND), other);
	test_file_close(&second);
}
END_TEST

START_TEST(closes_what_it_had)
{
	int before = lowest_free();

	memory_fill_destroy(fill);
	ck_assert_int_eq(memory_fill_create(&mem, &fill), 0);
	add(FIRST, 0, FILE_SIZE);
	start();
	wait_for_end();
	memory_fill_destroy(fill);
	fill = NULL;
	/* The fill's own was below. */
	ck_assert_int_le(lowest_free(), before);
}
END_TEST

/* How many mappings the guest's memory has. */
static int mappings(void)
{
	const uintptr_t begin = (uintptr_t)mem.regions[0].host;
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long from;
	char line[512];
	int n = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		n += sscanf(line, "%llx-", &from) == 1 && from >= begin && from < begin + MEMORY;
	fclose(maps);
	return n;
}

/* As it was: so that who looks from outside still sees what is the guest's and what is not. */
START_TEST(leaves_one_mapping)
{
	add(FIRST, 0, FILE_SIZE);
	add(MEMORY - FILE_SIZE, 0, FILE_SIZE);
	ck_assert_int_gt(mappings(), 1);
	*at(SECOND) = 1;
	start();
	wait_for_end();
	memory_fill_destroy(fill);
	fill = NULL;
	ck_assert_int_eq(mappings(), 1);
}
END_TEST

/* Of the guest's memory, in KiB. */
static long huge_pages(void)
{
	const uintptr_t begin = (uintptr_t)mem.regions[0].host;
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long long from, to;
	bool ours = false;
	char line[512];
	long kib, sum = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			ours = from >= begin && from < begin + MEMORY;
		else if (ours && sscanf(line, "AnonHugePages: %ld kB", &kib) == 1)
			sum += kib;
	}
	fclose(maps);
	return sum;
}

/* Those that the kernel gives to who asks for them. */
START_TEST(gives_huge_pages)
{
	long before;

	ck_assert_int_eq(madvise(at(SECOND), BLOCK, MADV_HUGEPAGE), 0);
	*at(SECOND) = 1;
	before = huge_pages();
	if (before == 0) {
		printf("SKIP gives_huge_pages: this machine has none\n");
		return;
	}
	add(FIRST, 0, FILE_SIZE);
	start();
	wait_for_end();
	ck_assert_int_gt(huge_pages(), before);
}
END_TEST

/* --- who waits --- */

/* A thread that touches a byte. */
struct toucher {
	pthread_t thread;
	const unsigned char *byte;
	_Atomic pid_t tid; /* once it is about to */
	atomic_bool done;
	unsigned char value;
};

static void *touch(void *arg)
{
	struct toucher *toucher = arg;

	atomic_store(&toucher->tid, gettid());
	toucher->value = *(volatile const unsigned char *)toucher->byte;
	atomic_store(&toucher->done, true);
	return NULL;
}

/* What the kernel says of a thread of ours: R, S, D, ... */
static char state_of(pid_t tid)
{
	char path[64], text[256] = "";
	const char *name_end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	stat = fopen(path, "re");
	ck_assert_ptr_nonnull(stat);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, stat), 0);
	fclose(stat);
	name_end = strrchr(text, ')');
	ck_assert_ptr_nonnull(name_end);
	return name_end[2];
}

/* It has begun, and waits. */
static void begin_to_touch(struct toucher *toucher, uint64_t addr)
{
	static const struct timespec moment = {.tv_nsec = 100000};

	*toucher = (struct toucher){.byte = at(addr)};
	ck_assert_int_eq(pthread_create(&toucher->thread, NULL, touch, toucher), 0);
	while (!atomic_load(&toucher->tid) || state_of(atomic_load(&toucher->tid)) == 'R')
		nanosleep(&moment, NULL);
	ck_assert(!atomic_load(&toucher->done));
}

static void expect_touched(struct toucher *toucher, unsigned int value)
{
	pthread_join(toucher->thread, NULL);
	ck_assert_uint_eq(toucher->value, value);
}

/* The first file in turn can't be read; who waits for the second one has it all the same. */
START_TEST(serves_first_who_waits)
{
	static const char lost[2 * PAGE];
	struct test_file gone = test_file_make(lost, sizeof(lost));
	struct toucher touchers[2];

	ck_assert_int_eq(memory_fill_add(fill, gpa(FIRST), gone.fd, 0, sizeof(lost), "gone"), 0);
	ck_assert_int_eq(ftruncate(gone.fd, 0), 0);
	add(SECOND, 0, FILE_SIZE);
	begin_to_touch(&touchers[0], SECOND + 5);
	begin_to_touch(&touchers[1], SECOND + 2 * BLOCK);
	start();
	expect_touched(&touchers[0], data[5]);
	expect_touched(&touchers[1], data[2 * BLOCK]);
	wait_for_end();
	ck_assert(outcome.failed);
	test_file_close(&gone);
}
END_TEST

START_TEST(tells_of_a_file_that_was_cut)
{
	struct toucher toucher;

	add(FIRST, 0, FILE_SIZE);
	ck_assert_int_eq(ftruncate(file.fd, BLOCK + 10), 0);
	begin_to_touch(&toucher, FIRST + 2 * BLOCK);
	start();
	/* It goes on, with nothing: once that has been told. */
	pthread_join(toucher.thread, NULL);
	pthread_mutex_lock(&outcome.lock);
	ck_assert(outcome.ended && outcome.failed);
	pthread_mutex_unlock(&outcome.lock);
	assert_error(outcome.err, -ENODATA, "file A: it became shorter");
	ck_assert_uint_eq(toucher.value, 0);
}
END_TEST

START_TEST(tells_of_a_file_that_cant_be_read)
{
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(memory_fill_add(fill, gpa(FIRST), directory, 0, PAGE, "file D"), 0);
	start();
	wait_for_end();
	assert_error(outcome.err, -EISDIR, "file D: Is a directory");
	close(directory);
}
END_TEST

START_TEST(lets_go_who_waits)
{
	const bool started = _i;
	struct toucher toucher;

	add(FIRST, 0, FILE_SIZE);
	begin_to_touch(&toucher, FIRST + BLOCK);
	if (started)
		start();
	memory_fill_destroy(fill);
	fill = NULL;
	pthread_join(toucher.thread, NULL);
	/* Cut short, or it had come to that page already. */
	ck_assert(toucher.value == 0 || (started && toucher.value == data[BLOCK]));
}
END_TEST

/* A program that has forked meanwhile has the same descriptors in another process. */
START_TEST(lets_go_though_others_have_its_descriptor)
{
	struct toucher toucher;
	pid_t child;

	add(FIRST, 0, FILE_SIZE);
	begin_to_touch(&toucher, FIRST);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	memory_fill_destroy(fill);
	fill = NULL;
	expect_touched(&toucher, 0);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

static void wait_for_readers(int n)
{
	pthread_mutex_lock(&hanging.lock);
	while (hanging.waiting < n)
		pthread_cond_wait(&hanging.changed, &hanging.lock);
	pthread_mutex_unlock(&hanging.lock);
}

START_TEST(leaves_a_file_that_hangs)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	const int own = lowest_free(); /* what the file's will be there */
	struct toucher toucher;

	add(FIRST, 0, FILE_SIZE);
	begin_to_touch(&toucher, FIRST + BLOCK);
	hanging.on = true;
	start();
	wait_for_readers(1);
	memory_fill_destroy(fill);
	fill = NULL;
	expect_touched(&toucher, 0);
	ck_assert(!outcome.ended);
	/* It is memory like any other, and what the thread reads comes nowhere near it. */
	ck_assert_int_eq(memory_zero(&mem, gpa(FIRST), FILE_SIZE), 0);
	pthread_mutex_lock(&hanging.lock);
	hanging.on = false;
	pthread_cond_broadcast(&hanging.changed);
	pthread_mutex_unlock(&hanging.lock);
	while (fcntl(own, F_GETFD) >= 0)
		nanosleep(&moment, NULL);
	/* That of userfaultfd is closed, too. */
	ck_assert_int_lt(lowest_free(), own);
	for (uint64_t i = 0; i < FILE_SIZE; i++)
		MUST(*at(FIRST + i) == 0);
	ck_assert(!outcome.ended);
}
END_TEST

START_TEST(is_cut_short)
{
	static const uint64_t size = 400 * MIB;
	struct test_file large = test_file_make("large", 5);

	ck_assert_int_eq(ftruncate(large.fd, (off_t)size), 0);
	memory_fill_destroy(fill);
	memory_destroy(&mem);
	mem = test_memory(512 * MIB);
	ck_assert_int_eq(memory_fill_create(&mem, &fill), 0);
	ck_assert_int_eq(memory_fill_add(fill, gpa(FIRST), large.fd, 0, size, "large"), 0);
	start();
	memory_fill_destroy(fill);
	fill = NULL;
	test_file_close(&large);
	/* It is memory like any other. */
	ck_assert_int_eq(memory_zero(&mem, gpa(FIRST), size), 0);
}
END_TEST

/* Who is a copy of this process has the pages that are on their way, too: then they can't be moved.
 */
START_TEST(fills_though_others_fork)
{
	static const uint64_t size = 50 * MIB;

	ck_assert_int_eq(ftruncate(file.fd, (off_t)size), 0);
	add(FIRST, 0, size);
	start();
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		/* Not by _exit(), where a sanitizer would miss the thread. */
		if (child == 0)
			kill(getpid(), SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
	wait_for_end();
	ck_assert_msg(!outcome.failed, "%s", outcome.err.text);
	ck_assert_int_eq(memcmp(at(FIRST), data, FILE_SIZE), 0);
	for (uint64_t i = FILE_SIZE; i < size; i++)
		MUST(*at(FIRST + i) == 0);
}
END_TEST

/* --- what it can't have --- */

/* A program that has locked its memory has it all at once: nothing of it is missing. */
START_TEST(refuses_locked_memory)
{
	struct memory_fill *none = fill;

	/* mlock() of some sanitizers does nothing. */
	if (syscall(SYS_mlock, at(FIRST), PAGE) < 0) {
		printf("SKIP refuses_locked_memory: mlock: %s\n", strerror(errno));
		return;
	}
	ck_assert_int_eq(memory_fill_create(&mem, &none), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

/* One that begins to lock it later: pages can't be moved then, nor be had anew. */
START_TEST(fills_in_a_program_that_locks)
{
	add(FIRST, 0, BLOCK);
	add(SECOND, 0, 100);
	/* Not mlockall(): as with mlock(). Only future mappings: what there is would be waited for.
	 */
	if (syscall(SYS_mlockall, MCL_FUTURE) < 0) {
		printf("SKIP fills_in_a_program_that_locks: mlockall: %s\n", strerror(errno));
		return;
	}
	start();
	wait_for_end();
	ck_assert(!outcome.failed);
	expect_file(FIRST, 0, BLOCK);
	expect_file(SECOND, 0, 100);
	for (uint64_t i = 100; i < BLOCK; i++)
		MUST(*at(SECOND + i) == 0);
}
END_TEST

START_TEST(refuses_other_memory)
{
	static const struct memory_config configs[] = {{.shared = true}, {.prealloc = true}};
	static const struct memory_range range = {0, 2 * MIB};
	struct guest_memory other;
	struct memory_fill *none = fill;

	ck_assert_int_eq(memory_create(&other, &range, 1, &configs[_i], NULL), 0);
	ck_assert_int_eq(memory_fill_create(&other, &none), -EOPNOTSUPP);
	ck_assert_ptr_null(none);
	memory_destroy(&other);
}
END_TEST

START_TEST(refuses_what_is_not_there)
{
	ck_assert_int_eq(memory_fill_add(fill, gpa(63 * MIB), file.fd, 0, FILE_SIZE, "A"), -EFAULT);
	/* Of the part that is read at once. */
	ck_assert_int_eq(memory_fill_add(fill, gpa(MIB), file.fd, FILE_SIZE, 10, "A"), -ENODATA);
	ck_assert_int_eq(memory_fill_add(fill, gpa(FIRST), -1, 0, FILE_SIZE, "A"), -EBADF);
}
END_TEST

static bool can_be_had(void)
{
	static const struct memory_config config;
	static const struct memory_range range = {0, 2 * BLOCK};
	int ret = memory_create(&mem, &range, 1, &config, NULL);

	if (!ret)
		ret = memory_fill_create(&mem, &fill);
	memory_fill_destroy(fill);
	memory_destroy(&mem);
	if (ret)
		printf("skipped: /dev/userfaultfd: %s\n", strerror(-ret));
	return !ret;
}

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *tc;
	int failed;

	if (!can_be_had())
		return SKIP;
	suite = suite_create("memory fill");
	tc = tcase_create("memory fill");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, fills, 0, sizeof(places) / sizeof(places[0]));
	tcase_add_test(tc, takes_what_is_close_together);
	tcase_add_test(tc, takes_several_files);
	tcase_add_test(tc, has_one_descriptor_of_a_file);
	tcase_add_test(tc, closes_what_it_had);
	tcase_add_test(tc, leaves_one_mapping);
	tcase_add_test(tc, gives_huge_pages);
	tcase_add_test(tc, serves_first_who_waits);
	tcase_add_test(tc, tells_of_a_file_that_was_cut);
	tcase_add_test(tc, tells_of_a_file_that_cant_be_read);
	tcase_add_loop_test(tc, lets_go_who_waits, 0, 2);
	tcase_add_test(tc, lets_go_though_others_have_its_descriptor);
	tcase_add_test(tc, leaves_a_file_that_hangs);
	tcase_add_test(tc, is_cut_short);
	tcase_add_test(tc, fills_though_others_fork);
	tcase_add_test(tc, refuses_locked_memory);
	tcase_add_test(tc, fills_in_a_program_that_locks);
	tcase_add_loop_test(tc, refuses_other_memory, 0, 2);
	tcase_add_test(tc, refuses_what_is_not_there);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
