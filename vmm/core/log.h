/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a running VM. The library prints nothing itself: what it has to say goes through the
 * callback that its user gave. One `struct logger` a VM, shared by its threads, never changed once
 * they run.
 */
#ifndef VMM_CORE_LOG_H
#define VMM_CORE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
};

struct logger {
	/* @text: one line without a newline, valid during the call. Called from any thread. */
	void (*write)(void *opaque, enum log_level level, const char *text);
	void *opaque;
};

/* Say something; @log may be NULL or have no callback (then nothing is said). Any thread. */
void log_write(const struct logger *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_write(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write(log, LOG_LEVEL_INFO, __VA_ARGS__)

#endif
