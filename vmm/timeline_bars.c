/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timeline_bars.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/timeline_json.h"

enum {
	WIDTH = 80,
	TIMES_WIDTH = 26, /* the two times, and what is between them and the bar */
	BAR_MIN = 8,
	US_PER_MS = 1000,
};

/* What a line begins with, however it ends. */
struct label {
	char text[96];
};

static const char *string_of(json_t *mark, const char *key)
{
	return json_string_value(json_object_get(mark, key));
}

static json_int_t us_of(json_t *mark)
{
	return json_integer_value(json_object_get(mark, "us"));
}

static struct label label_of(json_t *mark)
{
	const char *device = string_of(mark, "device");
	json_t *value = json_object_get(mark, "value");
	struct label label;

	if (value)
		snprintf(label.text, sizeof(label.text), "%s %" JSON_INTEGER_FORMAT,
			 string_of(mark, "name"), json_integer_value(value));
	else
		snprintf(label.text, sizeof(label.text), "%s%s%s", string_of(mark, "name"),
			 device ? " " : "", device ? device : "");
	/* A file's text is not to command a terminal. */
	for (char *c = label.text; *c; c++) {
		if (!isprint((unsigned char)*c))
			*c = '?';
	}
	return label;
}

static int check_mark(size_t index, json_t *mark, json_int_t before, struct error *err)
{
	json_t *us = json_object_get(mark, "us"), *device = json_object_get(mark, "device"),
	       *value = json_object_get(mark, "value");

	if (!string_of(mark, "name"))
		return error_set(err, -EINVAL, "mark %zu has no name", index);
	if (!json_is_integer(us) || json_integer_value(us) < 0)
		return error_set(err, -EINVAL, "mark %zu, %s, has no time", index,
				 string_of(mark, "name"));
	if (json_integer_value(us) < before)
		return error_set(err, -EINVAL, "mark %zu, %s, is before the one that it follows",
				 index, string_of(mark, "name"));
	if ((device && !json_is_string(device)) || (value && !json_is_integer(value)))
		return error_set(err, -EINVAL, "mark %zu, %s: its %s is something else", index,
				 string_of(mark, "name"),
				 device && !json_is_string(device) ? "device" : "value");
	return 0;
}

static int check(json_t *timeline, struct error *err)
{
	json_t *marks = json_object_get(timeline, "marks"), *mark;
	json_t *version = json_object_get(timeline, "version");
	const char *unit = string_of(timeline, "unit");
	json_int_t before = 0;
	size_t i;
	int ret = 0;

	if (!json_is_integer(version) || !json_is_array(marks))
		return error_set(err, -EINVAL, "it is no timeline: it has no version or no marks");
	if (json_integer_value(version) != TIMELINE_JSON_VERSION)
		return error_set(err, -EINVAL,
				 "it is of version %" JSON_INTEGER_FORMAT ", not %d: of another "
				 "xvmm",
				 json_integer_value(version), TIMELINE_JSON_VERSION);
	if (!unit || strcmp(unit, "us") != 0)
		return error_set(err, -EINVAL, "its unit is not \"us\"");
	json_array_foreach(marks, i, mark)
	{
		ret = check_mark(i, mark, before, err);
		if (ret)
			break;
		before = us_of(mark);
	}
	return ret;
}

/* Bars are as long as they can be with the longest label beside them. */
static unsigned int bar_width(json_t *marks, unsigned int width)
{
	size_t longest = 0, i;
	json_t *mark;

	json_array_foreach(marks, i, mark)
	{
		size_t len = strlen(label_of(mark).text);

		longest = len > longest ? len : longest;
	}
	longest += TIMES_WIDTH + 1;
	return width > longest + BAR_MIN ? width - (unsigned int)longest : BAR_MIN;
}

/* The column, below @width, for @us of @all. */
static int column(json_int_t us, json_int_t all, unsigned int width)
{
	return all ? (int)((double)us / (double)all * (width - 1)) : 0;
}

static void repeat(FILE *out, char c, int n)
{
	while (n-- > 0)
		putc(c, out);
}

static double ms(json_int_t us)
{
	return (double)us / US_PER_MS;
}

int timeline_bars_draw(json_t *timeline, FILE *out, unsigned int width, struct error *err)
{
	json_t *marks = json_object_get(timeline, "marks"), *mark;
	json_int_t before = 0, all, lost;
	int ret = check(timeline, err);
	unsigned int bar;
	size_t i;

	if (ret)
		return ret;
	all = us_of(json_array_get(marks, json_array_size(marks) - 1));
	bar = bar_width(marks, width);
	fprintf(out, "%11s %12s\n", "ms", "difference");
	json_array_foreach(marks, i, mark)
	{
		json_int_t us = us_of(mark);
		int from = column(before, all, bar), to = column(us, all, bar);

		fprintf(out, "%11.3f %12.3f  ", ms(us), ms(us - before));
		repeat(out, ' ', from);
		repeat(out, '-', to - from);
		putc('|', out);
		repeat(out, ' ', (int)bar - to);
		fprintf(out, "%s\n", label_of(mark).text);
		before = us;
	}
	lost = json_integer_value(json_object_get(timeline, "guest-marks-lost"));
	if (lost > 0)
		fprintf(out,
			"and %" JSON_INTEGER_FORMAT " marks of the guest's that were not kept\n",
			lost);
	return 0;
}

int timeline_bars_print(json_t *timeline, struct error *err)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		size.ws_col = WIDTH;
	return timeline_bars_draw(timeline, stdout, size.ws_col, err);
}
