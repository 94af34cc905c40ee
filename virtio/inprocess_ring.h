/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of the in-process datapath and their threads: what datapath_inprocess.c starts, stops
 * and sets, and inprocess_ring.c does. For these two alone.
 */
#ifndef VIRTIO_INPROCESS_RING_H
#define VIRTIO_INPROCESS_RING_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/datapath.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "virtio/net_window.h"
#include "virtio/queue_stats.h"
#include "virtio/ring.h"

/* How long the interrupts of a ring may wait (5.1.6.5.9); at once if one of the limits is 0. */
struct coalescing {
	uint32_t max_packets;
	uint32_t max_usecs;
	uint32_t packets; /* since the last time that an interrupt was due */
	uint64_t since;	  /* when the first of them was published, in ns; 0: not yet */
	bool owed;	  /* the driver wants an interrupt for one of them */
};

/*
 * One ring and its thread, which alone touches what it points to while it runs. Only if packets are
 * steered do the threads of other receive rings, too: then the lock is held, and never two.
 */
struct ring_worker {
	struct inprocess *dp;
	unsigned int index;
	struct datapath_wires wires;
	pthread_t thread;
	int wake_fd;	     /* eventfd, owned: to stop, or to look at changed settings */
	int epoll_fd;	     /* owned: that, the kicks, and the backend's */
	bool awaits_backend; /* a packet or room: its epoll_fd tells */
	_Atomic bool stopping;
	sem_t stop; /* posted when it is to stop */
	/*
	 * Read-held by the thread while it handles a batch, write-held by who changes settings. A
	 * writer goes first: no traffic can make it wait for longer than the batch in hand.
	 */
	pthread_rwlock_t settings;

	pthread_mutex_t lock;
	bool running; /* there is a ring to give packets to */
	bool told;    /* that the ring is broken */
	bool kicks;   /* the driver was asked for kicks */
	bool moved;   /* a packet, since the datapath was created; which was told */
	struct ring ring;
	struct queue_stats stats; /* outlives the ring */
	struct coalescing coalescing;
	/* Receive, the thread's own: packets that had passed, both ways, at a moment. */
	struct {
		uint64_t ns, received, sent;
	} window_start;
	struct net_window *window; /* receive */
	struct iovec *iovs;	   /* transmit: the chain in hand */
	/* The thread's own, for a packet that is steered, or sent from too many pieces; or NULL. */
	uint8_t *packet;

	/* The packet that waited for buffers when the ring was stopped, and its length. */
	uint8_t *kept;
	size_t kept_len;
};

struct inprocess {
	struct datapath datapath;
	char name[8];
	const struct guest_memory *mem;
	struct net_backend *backend; /* owned */
	const struct thread_filters *thread_filters;
	void (*backend_gone)(void *opaque); /* or NULL */
	void *opaque;
	struct ring_worker *workers;
	unsigned int queue_pairs;
	uint16_t mtu;
	uint64_t features; /* accepted; fixed while a ring runs */
	size_t within_mtu; /* packets of this length, with headers, always are; fixed, too */

	/*
	 * The settings: a thread reads them while its own worker's settings are held, and they are
	 * written while all are.
	 */
	uint64_t on;		/* the features, less the offloads that are off */
	unsigned int receiving; /* how many pairs receive */
	bool link_up;
	bool filters; /* some packets are not wanted */
	bool steers;  /* packets may be for other rings */
	bool reports; /* the header has a hash */
	struct net_window_format format;
	struct net_filter filter;
	struct net_rss rss;
};

static inline bool inprocess_receives(const struct ring_worker *worker)
{
	return worker->index % 2 == 0;
}

/* The worker of the receive ring of @pair. */
static inline struct ring_worker *inprocess_receiver(const struct inprocess *dp, unsigned int pair)
{
	return &dp->workers[2UL * pair];
}

/* The thread of a ring, until @worker (a struct ring_worker) is to stop. */
void *inprocess_ring_serve(void *worker);

/* Have the thread look again at settings and whether to stop, if it runs. */
void inprocess_ring_wake(struct ring_worker *worker);

/* The ring stops, its thread is gone: publish, and the driver gets the interrupt it waits for. */
void inprocess_ring_finish(struct ring_worker *worker);

#endif
