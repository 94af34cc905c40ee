/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets share: an input that is taken apart number by number, and what must be so. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vmm/core/loop.h"

struct input {
	const uint8_t *data;
	size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A crash where it is not so: libFuzzer keeps the input. */
static inline void require_that(int condition, const char *text, int line)
{
	if (condition)
		return;
	fprintf(stderr, "line %d: not so: %s\n", line, text);
	__builtin_trap();
}
#define require(condition) require_that(!!(condition), #condition, __LINE__)

/* The next 8 bytes of the input, the least significant first; zeroes at its end. */
static inline uint64_t take64(struct input *in)
{
	size_t n = in->len < sizeof(uint64_t) ? in->len : sizeof(uint64_t);
	uint64_t value = 0;

	if (n)
		memcpy(&value, in->data, n);
	in->data += n;
	in->len -= n;
	return value;
}

/* The same for @n bytes, at most 4. */
static inline uint32_t take(struct input *in, unsigned int n)
{
	struct input part = {in->data, in->len < n ? in->len : n};

	in->data += part.len;
	in->len -= part.len;
	return (uint32_t)take64(&part);
}

/* The loop dispatches what there is, and returns. */
static inline void loop_turn(struct loop *loop)
{
	loop_stop(loop);
	loop_run(loop);
}

#endif
