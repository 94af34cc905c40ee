/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that one thread at a time writes, and any may read. */
#ifndef VMM_CORE_COUNTER_H
#define VMM_CORE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

/* Cheaper than an atomic addition; see above. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* When something was last counted: CLOCK_MONOTONIC in ms, as of the last tick. Cheap. */
static inline uint64_t counter_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
