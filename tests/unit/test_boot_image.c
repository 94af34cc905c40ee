/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "boot/image.h"
#include "tests/unit/boot_files.h"

static char dir[] = "/tmp/test_boot_image.XXXXXX";

static void make_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void remove_dir(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}

static void assert_refused(const char *path, int code, const char *part)
{
	struct image image = {.fd = 12345};
	struct error err = {0};

	ck_assert_int_eq(image_open(&image, path, &err), code);
	assert_error(err, code, part);
	ck_assert_int_eq(image.fd, -1);
	image_close(&image);
}

static void make_socket(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", name);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

START_TEST(refuses_what_is_no_file)
{
	assert_refused("missing", -ENOENT, "No such file");
	assert_refused("", -ENOENT, "No such file");
	assert_refused(".", -EINVAL, "a directory");
	assert_refused("/dev/null", -EINVAL, "a device");
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	assert_refused("fifo", -EINVAL, "a FIFO"); /* would hang in open() */
	ck_assert_int_eq(unlink("fifo"), 0);
	make_socket("socket");
	assert_refused("socket", -EINVAL, "a socket"); /* which open() would not tell */
	ck_assert_int_eq(unlink("socket"), 0);
	ck_assert_int_eq(symlink("loop", "loop"), 0);
	assert_refused("loop", -ELOOP, "symbolic links");
	ck_assert_int_eq(unlink("loop"), 0);
}
END_TEST

START_TEST(refuses_empty_file)
{
	struct test_file file = test_file_make("", 0);

	assert_refused(file.path, -EINVAL, "empty");
}
END_TEST

START_TEST(says_who_may_read)
{
	int fd = open("secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, "x", 1), 0);
	ck_assert_int_eq(fchmod(fd, 0), 0);
	close(fd);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(dir, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
		assert_refused("secret", -EACCES, "belongs to uid 0 and has mode 0000");
		ck_assert_int_eq(seteuid(0), 0);
	} else {
		assert_refused("secret", -EACCES, "and has mode 0000");
	}
	ck_assert_int_eq(unlink("secret"), 0);
}
END_TEST

START_TEST(follows_symbolic_link)
{
	struct test_file file = test_file_make("kernel", 6);
	struct image image;

	ck_assert_int_eq(symlink(file.path, "link"), 0);
	ck_assert_int_eq(image_open(&image, "link", NULL), 0);
	ck_assert_uint_eq(image.size, 6);
	ck_assert_int_eq(fcntl(image.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	image_close(&image);
	ck_assert_int_eq(image.fd, -1);
	image_close(&image);
	ck_assert_int_eq(unlink("link"), 0);
}
END_TEST

START_TEST(reads_within_bounds)
{
	struct test_file file = test_file_make("0123456789", 10);
	struct error err = {0};
	struct image image;
	char buf[16] = "";

	ck_assert_int_eq(image_open(&image, file.path, &err), 0);
	ck_assert_int_eq(image_read(&image, 3, buf, 7, "it", &err), 0);
	ck_assert_str_eq(buf, "3456789");
	ck_assert_int_eq(image_read(&image, 10, buf, 0, "it", &err), 0);

	ck_assert_int_eq(image_read(&image, 3, buf, 8, "it", &err), -ENODATA);
	assert_error(err, -ENODATA, "it ends at byte 11, the file has 10");
	ck_assert_int_eq(image_read(&image, UINT64_MAX, buf, 8, "it", &err), -ENODATA);
	ck_assert_int_eq(image_check(&image, 8, UINT64_MAX - 2, "it", &err), -ENODATA);
	ck_assert_int_eq(image_check(&image, 0, 10, "it", &err), 0);

	ck_assert_int_eq(ftruncate(file.fd, 5), 0);
	ck_assert_int_eq(image_read(&image, 3, buf, 7, "it", &err), -ENODATA);
	assert_error(err, -ENODATA, "became shorter");
	image_close(&image);
}
END_TEST

START_TEST(loads_into_memory)
{
	struct test_file file = test_file_make("0123456789", 10);
	struct guest_memory mem = test_memory(2 * MIB);
	struct error err = {0};
	struct image image;
	char buf[16] = "";
	atomic_bool cancelled = false;

	ck_assert_int_eq(image_open(&image, file.path, &err), 0);
	ck_assert_int_eq(image_load(&image, 2, &mem, gpa(0x1000), 4, &err), 0);
	ck_assert_int_eq(memory_read(&mem, gpa(0x1000), buf, 5), 0);
	ck_assert_mem_eq(buf, "2345", 5);

	image.cancelled = &cancelled;
	ck_assert_int_eq(image_load(&image, 2, &mem, gpa(0x1000), 4, &err), 0);
	atomic_store(&cancelled, true);
	ck_assert_int_eq(image_load(&image, 2, &mem, gpa(0x1000), 4, &err), -ECANCELED);
	image.cancelled = NULL;
	ck_assert_int_eq(image_load(&image, 0, &mem, gpa(2 * MIB - 9), 10, &err), -EFAULT);
	assert_error(err, -EFAULT, "no memory at 0x1ffff7 for 10 bytes");
	ck_assert_int_eq(image_load(&image, 2, &mem, gpa(0x1000), 9, &err), -ENODATA);
	assert_error(err, -ENODATA, "became shorter");
	image_close(&image);
	memory_destroy(&mem);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot/image");
	TCase *tc = tcase_create("image");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, refuses_what_is_no_file);
	tcase_add_test(tc, refuses_empty_file);
	tcase_add_test(tc, says_who_may_read);
	tcase_add_test(tc, follows_symbolic_link);
	tcase_add_test(tc, reads_within_bounds);
	tcase_add_test(tc, loads_into_memory);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
