/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_write(const struct logger *log, enum log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!log || !log->write)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log->write(log->opaque, level, text);
}
