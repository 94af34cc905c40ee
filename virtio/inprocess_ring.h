/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of the in-process datapath and the threads of their pairs: what datapath_inprocess.c
 * starts, stops and sets, inprocess_pair.c waits for, and inprocess_ring.c does. For these alone.
 */
#ifndef VIRTIO_INPROCESS_RING_H
#define VIRTIO_INPROCESS_RING_H

#include <pthread.h>
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
 * One ring. While it runs the thread of its pair alone touches what it points to. Only if packets
 * are steered do the threads of other pairs, too: then the lock is held, and never two.
 */
struct ring_worker {
	struct inprocess *dp;
	struct inprocess_pair *pair;
	unsigned int index;
	struct datapath_wires wires;

	pthread_mutex_t lock;
	bool running; /* there is a ring to give packets to; written while the settings are held */
	bool told;    /* that the ring is broken */
	bool kicks;   /* the driver was asked for kicks */
	bool moved;   /* a packet, since the datapath was created; which was told */
	struct ring ring;
	struct queue_stats stats; /* outlives the ring */
	struct coalescing coalescing;
	size_t unsettled_bytes;	   /* transmit: of the packets that are unsettled */
	uint64_t held_until;	   /* an interrupt, in ns; 0: none is held */
	struct net_window *window; /* receive */
	struct iovec *iovs;	   /* transmit: the chain in hand */
	/* The thread's own, for a packet that is steered, or sent from too many pieces; or NULL. */
	uint8_t *packet;

	/* What comes next, while the settings are held. */
	bool ready;	     /* there may be something to do; else, for want of an event, wait */
	bool awaits_backend; /* for a packet, or room for one; else the driver */
	bool listens;	     /* to the backend, though buffers are missing */
	bool naps;	     /* or nothing, until then: */
	uint64_t until;	     /* at most so long, CLOCK_MONOTONIC in ns; 0: for ever */
	/* What had passed at a moment, and the other way. */
	struct {
		uint64_t ns, passed, bytes, passed_back;
	} window_start;

	/* The packet that waited for buffers when the ring was stopped, and its length. */
	uint8_t *kept;
	size_t kept_len;
};

/* A receive ring and its transmit ring, and the thread of both, which is there while one runs. */
struct inprocess_pair {
	struct inprocess *dp;
	struct ring_worker *rings; /* those two */
	unsigned int n_running;
	pthread_t thread;
	_Atomic bool stopping;
	int wake_fd;	  /* eventfd, owned: to stop, or to look at changed settings */
	int epoll_fd;	  /* owned: that, the kicks of both, and the backend's */
	uint32_t awaited; /* of the backend: EPOLLIN, EPOLLOUT. The thread's own */
	/*
	 * Read-held by the thread while it handles a batch, write-held by who changes settings. A
	 * writer goes first: no traffic can make it wait for longer than the batches in hand.
	 */
	pthread_rwlock_t settings;
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
	struct inprocess_pair *pairs;
	unsigned int queue_pairs;
	uint16_t mtu;
	uint64_t features; /* accepted; fixed while a ring runs */
	size_t within_mtu; /* packets of this length, with headers, always are; fixed, too */

	/*
	 * The settings: a thread reads them while its own pair's settings are held, and they are
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

/* Handle a batch, and decide what comes next. While the settings are held. */
void inprocess_ring_serve(struct ring_worker *worker);

/* The ring has stopped: publish, and the driver gets the interrupt it waits for. */
void inprocess_ring_finish(struct ring_worker *worker);

void inprocess_pair_init(struct inprocess_pair *pair, struct inprocess *dp, unsigned int index);
void inprocess_pair_destroy(struct inprocess_pair *pair);

/* Have the pair's thread serve a ring that is ready, or leave it alone. 0 or a negative errno. */
int inprocess_pair_start(struct ring_worker *worker);
void inprocess_pair_stop(struct ring_worker *worker);

/* Have the thread look again at all that there is, if @worker runs. */
void inprocess_pair_wake(struct ring_worker *worker);

/* CLOCK_MONOTONIC. */
uint64_t inprocess_now_ns(void);

#endif
