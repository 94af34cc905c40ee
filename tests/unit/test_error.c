/* SPDX-License-Identifier: Apache-2.0 */
/* error.c and log.c. */
#include "vmm/core/error.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/log.h"

START_TEST(set)
{
	struct error err;

	memset(&err, 0xff, sizeof(err));
	ck_assert_int_eq(error_set(&err, -ENODEV, "%s has %d legs", "dog", 4), -ENODEV);
	ck_assert_int_eq(err.code, -ENODEV);
	ck_assert(!err.usage);
	ck_assert_str_eq(err.text, "dog has 4 legs");
	ck_assert_int_eq(error_usage(&err, "no %s", "cat"), -EINVAL);
	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert(err.usage);
	ck_assert_str_eq(err.text, "no cat");
	/* A later error of another kind doesn't keep the mark. */
	error_set(&err, -EIO, "x");
	ck_assert(!err.usage);
}
END_TEST

START_TEST(with_errno)
{
	struct error err;

	memset(&err, 0xff, sizeof(err));
	errno = ENOENT;
	ck_assert_int_eq(error_errno(&err, "%s", "file"), -ENOENT);
	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert(!err.usage);
	ck_assert_str_eq(err.text, "file: No such file or directory");
}
END_TEST

START_TEST(cure)
{
	struct error err;

	errno = ENOENT;
	error_errno(&err, "file");
	error_cure(&err, "touch %s", "file");
	ck_assert_str_eq(err.text, "file: No such file or directory; try: touch file");
	/* The one that is there is the nearer one. */
	error_code(&err, -EMFILE, "file");
	error_cure(&err, "touch file");
	ck_assert_str_eq(err.text, "file: Too many open files; try: ulimit -n 4096");
	error_cure(NULL, "touch file");
}
END_TEST

START_TEST(prefix)
{
	struct error err;

	error_usage(&err, "bad key");
	error_prefix(&err, "net %d: ", 1);
	ck_assert_str_eq(err.text, "net 1: bad key");
	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert(err.usage);
}
END_TEST

START_TEST(nobody_listens)
{
	errno = EPERM;
	ck_assert_int_eq(error_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(error_usage(NULL, "x"), -EINVAL);
	ck_assert_int_eq(error_errno(NULL, "x"), -EPERM);
	error_prefix(NULL, "x");
}
END_TEST

START_TEST(too_long)
{
	char text[2 * sizeof(((struct error *)NULL)->text)];
	struct error err;
	size_t max = sizeof(err.text) - 1;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EIO, "%s", text);
	ck_assert_uint_eq(strlen(err.text), max);
	errno = EIO;
	error_errno(&err, "%s", text);
	ck_assert_uint_eq(strlen(err.text), max);
	error_prefix(&err, "b");
	ck_assert_uint_eq(strlen(err.text), max);
	ck_assert(err.text[0] == 'b' && err.text[1] == 'a');
	error_prefix(&err, "%s", text);
	ck_assert_uint_eq(strlen(err.text), max);
}
END_TEST

struct said {
	enum log_level level;
	char text[1024];
	unsigned int count;
};

static void hear(void *opaque, enum log_level level, const char *text)
{
	struct said *said = opaque;

	said->level = level;
	said->count++;
	strncpy(said->text, text, sizeof(said->text) - 1);
}

START_TEST(logging)
{
	struct said said = {0};
	const struct logger log = {hear, &said}, deaf = {0};

	log_error(&log, "a %d", 1);
	ck_assert_str_eq(said.text, "a 1");
	ck_assert_int_eq(said.level, LOG_LEVEL_ERROR);
	log_warning(&log, "b");
	ck_assert_int_eq(said.level, LOG_LEVEL_WARNING);
	log_info(&log, "c");
	ck_assert_int_eq(said.level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(said.count, 3);
	log_error(&deaf, "x");
	log_error(NULL, "x");
	log_info(&log, "%0900d", 0);
	ck_assert_uint_eq(strlen(said.text), 511);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tc = tcase_create("error");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, set);
	tcase_add_test(tc, with_errno);
	tcase_add_test(tc, cure);
	tcase_add_test(tc, prefix);
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, too_long);
	tcase_add_test(tc, logging);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
