/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/progress.h"

#include "vmm/core/log.h"

struct progress progress_begin(const struct logger *log, const char *what, uint64_t total,
			       uint64_t now_ms)
{
	return (struct progress){.log = log, .what = what, .total = total, .told_ms = now_ms};
}

void progress_tell(struct progress *progress, uint64_t done, uint64_t now_ms)
{
	if (now_ms - progress->told_ms < PROGRESS_PERIOD_MS)
		return;
	progress->told_ms = now_ms;
	log_info(progress->log, "%s: %llu of %llu MiB so far", progress->what,
		 (unsigned long long)done >> 20, (unsigned long long)progress->total >> 20);
}
