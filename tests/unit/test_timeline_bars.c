/* SPDX-License-Identifier: Apache-2.0 */
/* A timeline drawn: to the letter; and what is none, refused with nothing drawn. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"
#include "vmm/timeline_bars.h"

/* What is drawn of @text with @width columns, to be freed; NULL: it was refused, and *@err filled.
 */
static char *draw(const char *text, unsigned int width, struct error *err)
{
	json_t *timeline = json_loads(text, 0, NULL);
	char *drawn = NULL;
	size_t len;
	FILE *out = open_memstream(&drawn, &len);
	int ret;

	ck_assert_ptr_nonnull(timeline);
	ck_assert_ptr_nonnull(out);
	*err = (struct error){0};
	ret = timeline_bars_draw(timeline, out, width, err);
	fclose(out);
	json_decref(timeline);
	ck_assert_int_eq(ret, err->code);
	if (!ret)
		return drawn;
	ck_assert_uint_eq(len, 0);
	free(drawn);
	return NULL;
}

static void expect(const char *text, unsigned int width, const char *expected)
{
	struct error err;
	char *drawn = draw(text, width, &err);

	ck_assert_str_eq(err.text, "");
	ck_assert_str_eq(drawn, expected);
	free(drawn);
}

#define MARKS(marks) "{\"version\": 1, \"unit\": \"us\", \"marks\": [" marks "]}"

START_TEST(bars)
{
	expect(MARKS("{\"name\": \"exec\", \"us\": 0},"
		     "{\"name\": \"kvm-ready\", \"us\": 2500},"
		     "{\"name\": \"driver-ok\", \"us\": 7500, \"device\": \"net0\"},"
		     "{\"name\": \"guest-mark\", \"us\": 7501, \"value\": 4294967295},"
		     "{\"name\": \"guest-ended\", \"us\": 10000}"),
	       70,
	       "         ms   difference\n"
	       "      0.000        0.000  |                      exec\n"
	       "      2.500        2.500  -----|                 kvm-ready\n"
	       "      7.500        5.000       ----------|       driver-ok net0\n"
	       "      7.501        0.001                 |       guest-mark 4294967295\n"
	       "     10.000        2.499                 ------| guest-ended\n");
}
END_TEST

START_TEST(narrow)
{
	/* Without room for a bar there is one of eight columns. */
	for (unsigned int width = 0; width < 20; width += 10)
		expect(MARKS("{\"name\": \"exec\", \"us\": 0}, {\"name\": \"kvm-ready\", \"us\": 7}"),
		       width,
		       "         ms   difference\n"
		       "      0.000        0.000  |        exec\n"
		       "      0.007        0.007  -------| kvm-ready\n");
}
END_TEST

START_TEST(nothing_happened)
{
	expect(MARKS(""), 80, "         ms   difference\n");
	expect(MARKS("{\"name\": \"exec\", \"us\": 0}"), 40,
	       "         ms   difference\n"
	       "      0.000        0.000  |         exec\n");
}
END_TEST

START_TEST(lost_marks)
{
	expect("{\"version\": 1, \"unit\": \"us\", \"marks\": [], \"guest-marks-lost\": 3}", 80,
	       "         ms   difference\n"
	       "and 3 marks of the guest's that were not kept\n");
}
END_TEST

START_TEST(no_commands_to_the_terminal)
{
	struct error err;
	char *drawn = draw(MARKS("{\"name\": \"\\u001b[2J\", \"us\": 0,"
				 " \"device\": \"a\\nb\\u009b\"}"),
			   80, &err);

	ck_assert_ptr_nonnull(strstr(drawn, "?[2J a?b??\n"));
	ck_assert_ptr_null(strchr(drawn, '\033'));
	free(drawn);
}
END_TEST

START_TEST(what_is_none)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"[]", "no timeline"},
		{"{}", "no timeline"},
		{"{\"version\": 1}", "no marks"},
		{"{\"version\": \"1\", \"marks\": []}", "no version"},
		{"{\"version\": 1, \"marks\": {}}", "no marks"},
		{"{\"version\": 2, \"unit\": \"us\", \"marks\": []}", "version 2, not 1"},
		{"{\"version\": 1, \"marks\": []}", "unit"},
		{"{\"version\": 1, \"unit\": \"ms\", \"marks\": []}", "unit"},
		{MARKS("7"), "mark 0 has no name"},
		{MARKS("{\"us\": 0}"), "mark 0 has no name"},
		{MARKS("{\"name\": 1, \"us\": 0}"), "mark 0 has no name"},
		{MARKS("{\"name\": \"exec\"}"), "mark 0, exec, has no time"},
		{MARKS("{\"name\": \"exec\", \"us\": 0.5}"), "mark 0, exec, has no time"},
		{MARKS("{\"name\": \"exec\", \"us\": -1}"), "mark 0, exec, has no time"},
		{MARKS("{\"name\": \"exec\", \"us\": 2}, {\"name\": \"x\", \"us\": 1}"),
		 "mark 1, x, is before"},
		{MARKS("{\"name\": \"exec\", \"us\": 0, \"device\": 1}"), "its device"},
		{MARKS("{\"name\": \"exec\", \"us\": 0, \"device\": \"\", \"value\": \"\"}"),
		 "its value"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err;

		ck_assert_msg(!draw(cases[i].text, 80, &err), "%s", cases[i].text);
		ck_assert_int_eq(err.code, -EINVAL);
		ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "%s: %s", cases[i].text,
			      err.text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline bars");
	TCase *tc = tcase_create("timeline bars");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, bars);
	tcase_add_test(tc, narrow);
	tcase_add_test(tc, nothing_happened);
	tcase_add_test(tc, lost_marks);
	tcase_add_test(tc, no_commands_to_the_terminal);
	tcase_add_test(tc, what_is_none);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
