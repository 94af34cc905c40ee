/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/core/log.h"
#include "vmm/core/progress.h"

static char said[256];
static unsigned int n_said;

static void write_log(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	ck_assert_int_eq(level, LOG_LEVEL_INFO);
	snprintf(said, sizeof(said), "%s", text);
	n_said++;
}

START_TEST(a_word_every_two_seconds)
{
	const struct logger log = {write_log, NULL};
	struct progress progress = progress_begin(&log, "initrd", 5ULL << 30, 1000);

	progress_tell(&progress, 1ULL << 30, 1001);
	progress_tell(&progress, 1ULL << 30, 2999);
	ck_assert_uint_eq(n_said, 0);
	progress_tell(&progress, 2ULL << 30, 3000);
	ck_assert_uint_eq(n_said, 1);
	ck_assert_str_eq(said, "initrd: 2048 of 5120 MiB so far");
	progress_tell(&progress, 3ULL << 30, 4999);
	ck_assert_uint_eq(n_said, 1);
	progress_tell(&progress, 4ULL << 30, 9000);
	ck_assert_uint_eq(n_said, 2);
	ck_assert_str_eq(said, "initrd: 4096 of 5120 MiB so far");
	progress_tell(&progress, 5ULL << 30, 10999);
	ck_assert_uint_eq(n_said, 2);
}
END_TEST

START_TEST(nobody_listens)
{
	struct progress progress = progress_begin(NULL, "memory", 1 << 20, 0);

	progress_tell(&progress, 1 << 19, PROGRESS_PERIOD_MS);
	ck_assert_uint_eq(n_said, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = tcase_create("progress");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_word_every_two_seconds);
	tcase_add_test(tcase, nobody_listens);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
