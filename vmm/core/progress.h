/* SPDX-License-Identifier: Apache-2.0 */
/* A word on work that takes its time: after two seconds, and every two from then on. */
#ifndef VMM_CORE_PROGRESS_H
#define VMM_CORE_PROGRESS_H

#include <stdint.h>

struct logger;

enum {
	PROGRESS_PERIOD_MS = 2000,
};

struct progress {
	const struct logger *log; /* NULL: nothing is said */
	const char *what;	  /* borrowed */
	uint64_t total;		  /* bytes */
	uint64_t told_ms;	  /* CLOCK_MONOTONIC: when something was said, or it began */
};

/* It begins at @now_ms, as counter_now_ms() tells it. */
struct progress progress_begin(const struct logger *log, const char *what, uint64_t total,
			       uint64_t now_ms);

/* @done bytes of the total are done at @now_ms: if it is time, say so. */
void progress_tell(struct progress *progress, uint64_t done, uint64_t now_ms);

#endif
