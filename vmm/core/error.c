/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->usage = false;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int error_usage(struct error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EINVAL;
	err->code = -EINVAL;
	err->usage = true;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int error_cause(struct error *err, int code)
{
	return error_set(err, code, "%s%s", strerror(-code),
			 code == -EMFILE ? "; try: ulimit -n 4096" : "");
}

static void set_code(struct error *err, int code, const char *fmt, va_list ap)
{
	struct error cause;

	if (!err)
		return;
	error_cause(&cause, code);
	err->code = code;
	err->usage = false;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	error_append(err, ": ");
	error_append(err, cause.text);
}

int error_code(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_code(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_errno(struct error *err, const char *fmt, ...)
{
	const int code = -errno;
	va_list ap;

	va_start(ap, fmt);
	set_code(err, code, fmt, ap);
	va_end(ap);
	return code;
}

void error_append(struct error *err, const char *text)
{
	const size_t len = err ? strlen(err->text) : 0;

	if (err)
		snprintf(err->text + len, sizeof(err->text) - len, "%s", text);
}

void error_cure(struct error *err, const char *fmt, ...)
{
	static const char separator[] = "; try: ";
	size_t len;
	va_list ap;

	if (!err || strstr(err->text, separator))
		return;
	error_append(err, separator);
	len = strlen(err->text);
	va_start(ap, fmt);
	vsnprintf(err->text + len, sizeof(err->text) - len, fmt, ap);
	va_end(ap);
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	size_t len;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, "%s", err->text);
	memcpy(err->text, text, sizeof(text));
}
