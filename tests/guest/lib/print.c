/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/guest.h"
#include "lib/serial.h"
#include "lib/string.h"

struct output {
	char text[512]; /* what doesn't fit is cut off */
	size_t len;
};

static void put(struct output *out, char c)
{
	if (out->len < sizeof(out->text))
		out->text[out->len++] = c;
}

static void put_padded(struct output *out, const char *text, size_t len, size_t width, char pad)
{
	for (size_t i = len; i < width; i++)
		put(out, pad);
	for (size_t i = 0; i < len; i++)
		put(out, text[i]);
}

static void put_number(struct output *out, uint64_t value, unsigned int base, bool negative,
		       bool prefix, size_t width, char pad)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (prefix) {
		digits[--at] = 'x';
		digits[--at] = '0';
	}
	if (negative)
		digits[--at] = '-';
	put_padded(out, digits + at, sizeof(digits) - at, width, pad);
}

static void format_into(struct output *out, const char *format, va_list args)
{
	for (; *format != '\0'; format++) {
		bool is_long = false;
		bool prefix = false;
		char pad = ' ';
		size_t width = 0;

		if (*format != '%') {
			put(out, *format);
			continue;
		}
		for (format++; *format == '#' || *format == '0'; format++) {
			prefix = prefix || *format == '#';
			pad = *format == '0' ? '0' : pad;
		}
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (size_t)(*format - '0');
		for (; *format == 'l' || *format == 'z'; format++)
			is_long = true;
		switch (*format) {
		case 'd': {
			int64_t value = is_long ? va_arg(args, int64_t) : va_arg(args, int);
			uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

			put_number(out, magnitude, 10, value < 0, false, width, pad);
			break;
		}
		case 'u':
		case 'x': {
			uint64_t value = is_long ? va_arg(args, uint64_t)
						 : va_arg(args, unsigned int);

			put_number(out, value, *format == 'u' ? 10 : 16, false, prefix, width, pad);
			break;
		}
		case 'c':
			put(out, (char)va_arg(args, int));
			break;
		case 's': {
			const char *text = va_arg(args, const char *);

			put_padded(out, text, strlen(text), width, ' ');
			break;
		}
		default:
			put(out, *format);
		}
	}
}

void format_text(char *text, size_t size, const char *format, va_list args)
{
	struct output out = {.len = 0};

	format_into(&out, format, args);
	if (out.len > size - 1)
		out.len = size - 1;
	memcpy(text, out.text, out.len);
	text[out.len] = '\0';
}

static void vprint(const char *format, va_list args)
{
	struct output out = {.len = 0};

	format_into(&out, format, args);
	serial_write(out.text, out.len);
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint(format, args);
	va_end(args);
}

static void end_text(struct output *out)
{
	put(out, '\0');
	out->text[sizeof(out->text) - 1] = '\0';
}

void (*on_fatal)(const char *text);

void fatal(const char *format, ...)
{
	static struct output out;
	va_list args;

	out.len = 0;
	va_start(args, format);
	format_into(&out, format, args);
	va_end(args);
	end_text(&out);
	if (on_fatal != NULL)
		on_fatal(out.text);
	print("fatal: %s\n", out.text);
	guest_exit(STATUS_UNUSABLE);
}

static unsigned int checks;
static unsigned int failures;

bool check(bool ok, const char *what, ...)
{
	struct output out = {.len = 0};
	va_list args;

	checks++;
	failures += !ok;
	va_start(args, what);
	format_into(&out, what, args);
	va_end(args);
	/* One write each: other CPUs print as well. */
	end_text(&out);
	print("%s %u - %s\n", ok ? "ok" : "not ok", checks, out.text);
	return ok;
}

void check_skipped(const char *why, const char *what, ...)
{
	struct output out = {.len = 0};
	va_list args;

	checks++;
	va_start(args, what);
	format_into(&out, what, args);
	va_end(args);
	end_text(&out);
	print("ok %u - %s # SKIP %s\n", checks, out.text, why);
}

unsigned int check_count(void)
{
	return checks;
}

int check_done(void)
{
	print("1..%u\n", checks);
	return failures == 0 ? STATUS_PASS : STATUS_FAIL;
}
