/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox.h"

#include "vmm/core/error.h"
#include "vmm/sandbox_filters.h"

#define FILTER(i)                                                      \
	{                                                              \
		filter_##i, sizeof(filter_##i) / sizeof(filter_##i[0]) \
	}

const struct thread_filters sandbox_filters = {
	{FILTER(0), FILTER(1), FILTER(2), FILTER(3), FILTER(4), FILTER(5), FILTER(6)},
};
_Static_assert(THREAD_KINDS == 7, "one for each");

#define FITS(i) (sizeof(filter_##i) / sizeof(filter_##i[0]) <= THREAD_FILTER_STEPS_MAX)

_Static_assert(FITS(0) && FITS(1) && FITS(2) && FITS(3) && FITS(4) && FITS(5) && FITS(6),
	       "as vmm/core/thread.h has it");

int sandbox_check(struct error *err)
{
	return sandbox_possible ? 0
				: error_usage(err, "a build with sanitizers can't have a sandbox");
}
