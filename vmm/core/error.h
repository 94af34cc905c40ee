/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a negative errno for the program, a sentence for the person.
 *
 * A function that can fail takes a `struct error *` (NULL: the caller wants no words), fills it
 * and returns the negative errno. The text names the cause and, where there is one, the command
 * that mends it. Any thread; one struct belongs to one thread at a time.
 */
#ifndef VMM_CORE_ERROR_H
#define VMM_CORE_ERROR_H

#include <stdbool.h>

struct error {
	int code;   /* negative errno, or 0: no error */
	bool usage; /* the caller asked for something that is wrong in itself (exit status 2) */
	char text[1024]; /* one line without a final full stop or newline */
};

/* Fill @err and return @code, which must be negative. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like error_set(), but marks the error as wrong usage; the code is -EINVAL. */
int error_usage(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Like error_set(), with the text of the errno @code; then the cure, of EMFILE. */
int error_cause(struct error *err, int code);

/* Like error_set(), with ": " and error_cause()'s text after the formatted text. */
int error_code(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* error_code() with -errno. */
int error_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put @text after what @err says already. */
void error_append(struct error *err, const char *text);

/* Put "; try: " and a formatted text after what @err says already, unless that names a cure. */
void error_cure(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put a formatted text before what @err says already ("tap0: " and the like). */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
