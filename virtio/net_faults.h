/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net backend that puts faults between a datapath and another backend: a bad wire, with the
 * words and the meaning that they have in Linux's netem and tbf (tc-netem(8), tc-tbf(8)). Each
 * direction of each queue pair is a wire of its own:
 *
 *	loss		a packet is lost
 *	duplicate	it comes twice
 *	corrupt		one bit of it is another one, headers of protocols included
 *	delay, jitter	it comes so much later, a uniformly random time more or less; those that
 *			jitter gives an earlier time overtake
 *	reorder		it is not delayed, and so overtakes those that are
 *	bits, packets	at most so many a second pass, after all of the above (token buckets)
 *
 * Up to 1000 packets wait in a wire for their time; those that come then are lost. What is behind
 * it is waited for as without faults.
 *
 * What happens to a packet depends on the seed, the direction, the queue and how many packets came
 * before it, not on time, nor on which other faults there are. Offloads are not offered, so that a
 * packet is as it is on a wire, and one that was corrupted has a wrong checksum.
 *
 * A thread of its own moves the packets, from the first set_features() on. It is started, and other
 * threads wait for its end, under a lock of the backend.
 */
#ifndef VIRTIO_NET_FAULTS_H
#define VIRTIO_NET_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct net_backend;
struct thread_filters;

enum {
	NET_FAULTS_ALL = 1000000, /* probabilities are in millionths */
	NET_FAULTS_QUEUE = 1000,  /* packets that can wait */
};

/* The features that a driver isn't offered because of faults, or does without. */
extern const uint64_t net_faults_without;

/* Of a token bucket. */
struct net_faults_rate {
	uint64_t per_second; /* up to 10^11; 0: no limit */
	/*
	 * What may pass at once after a rest, in the same unit, up to 10^10; 0: what passes in 10
	 * ms. A packet that is larger waits for a full bucket.
	 */
	uint64_t burst;
};

struct net_faults_config {
	const char *name;	  /* of the device, for the thread's; copied */
	unsigned int queue_pairs; /* of @inner */
	uint32_t loss, duplicate, corrupt, reorder;
	uint64_t delay_ns, jitter_ns; /* jitter: at most the delay, and less than 2^31 us */
	struct net_faults_rate bits;  /* of frames, from the Ethernet header on */
	struct net_faults_rate packets;
	uint64_t seed;
	const struct thread_filters *thread_filters; /* of its thread, or NULL; outlive it */
};

/*
 * A backend before @inner, which is taken over, also on failure. *@backend is the caller's, to
 * release. 0 or a negative errno.
 */
int net_faults_create(const struct net_faults_config *config, struct net_backend *inner,
		      struct net_backend **backend, struct error *err);

/*
 * Have its thread leave @inner alone, as long as somebody else may use that, or no longer. 0, or a
 * negative errno if the thread can't be started again: then no packet moves until set_features().
 * Any thread.
 */
int net_faults_hold(struct net_backend *backend, bool hold);

/* As virtio queues are called: what the driver receives, what it transmits. */
enum net_faults_direction {
	NET_FAULTS_RECEIVE,
	NET_FAULTS_TRANSMIT,
	NET_FAULTS_DIRECTIONS,
};

enum net_faults_counter {
	NET_FAULTS_LOST,
	NET_FAULTS_DUPLICATED,
	NET_FAULTS_CORRUPTED,
	NET_FAULTS_REORDERED,
	NET_FAULTS_DROPPED, /* too many waited, or what is behind refused it */
	NET_FAULTS_COUNTERS,
};

/* What was done to packets of all queues in @direction, since it was created. Any thread. */
void net_faults_count(const struct net_backend *backend, enum net_faults_direction direction,
		      uint64_t counters[NET_FAULTS_COUNTERS]);

#endif
