/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a datapath counts of a ring, from when it took the device on. For each counter one thread at
 * a time; any thread may look.
 */
#ifndef VIRTIO_QUEUE_STATS_H
#define VIRTIO_QUEUE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "vmm/core/counter.h"

enum queue_counter {
	QUEUE_PACKETS,
	QUEUE_BYTES, /* of these packets, without virtio-net headers */
	/* Packets that were lost, and why. */
	QUEUE_DROPPED_LINK_DOWN,
	QUEUE_DROPPED_FILTERED,
	QUEUE_DROPPED_MTU,	  /* larger than the driver agreed to */
	QUEUE_DROPPED_NO_BUFFERS, /* the driver has given too few, or too small ones */
	QUEUE_DROPPED_MALFORMED,  /* no packet is so short or long */
	QUEUE_DROPPED_REFUSED,	  /* by the backend, other than for lack of room */
	QUEUE_KICKS,
	QUEUE_INTERRUPTS,
	QUEUE_SUPPRESSED, /* batches after which the driver wanted no interrupt */
	QUEUE_STALLS,	  /* receive: there were no buffers; transmit: no room in the backend */
	QUEUE_BROKEN,	  /* the driver broke the ring's rules */
	QUEUE_COUNTERS,
};

struct queue_stats {
	_Atomic uint64_t counters[QUEUE_COUNTERS];
	_Atomic uint64_t progress_ms; /* CLOCK_MONOTONIC of the last buffer used; 0: never */
};

static inline void queue_count(struct queue_stats *stats, enum queue_counter counter, uint64_t n)
{
	counter_add(&stats->counters[counter], n);
}

static inline uint64_t queue_counted(const struct queue_stats *stats, enum queue_counter counter)
{
	return atomic_load_explicit(&stats->counters[counter], memory_order_relaxed);
}

#endif
