/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_MUST_H
#define TESTS_UNIT_MUST_H

#include <check.h>

/* For what is done a million times: Check notes down each ck_assert, and that takes long. */
#define MUST(condition)                                         \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

#endif
