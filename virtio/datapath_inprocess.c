/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_inprocess.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "virtio/iov.h"
#include "virtio/net_backend.h"
#include "virtio/net_defs.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "virtio/net_window.h"
#include "virtio/ring.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"

enum {
	/*
	 * After so many packets, or used buffers, these are published, and changed settings have
	 * their chance.
	 */
	BATCH = 64,
	NS_PER_US = 1000,
	NS_PER_S = 1000000000,
};

#define FEATURE(name) (1ULL << (name))

/* What the driver may switch by VIRTIO_NET_CTRL_GUEST_OFFLOADS (5.1.6.5.8). */
static const uint64_t guest_offloads =
	FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
	FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(VIRTIO_NET_F_GUEST_ECN) |
	FEATURE(VIRTIO_NET_F_GUEST_UFO) | FEATURE(VIRTIO_NET_F_GUEST_USO4) |
	FEATURE(VIRTIO_NET_F_GUEST_USO6);

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
	int wake_fd;  /* eventfd, owned: to stop, or to look at changed settings */
	int epoll_fd; /* owned */
	_Atomic bool stopping;
	/*
	 * Read-held by the thread while it handles a batch, write-held by who changes settings. A
	 * writer goes first: no traffic can make it wait for longer than the batch in hand.
	 */
	pthread_rwlock_t settings;

	pthread_mutex_t lock;
	bool running; /* there is a ring to give packets to */
	bool told;    /* that the ring is broken */
	bool kicks;   /* the driver was asked for kicks */
	struct ring ring;
	struct coalescing coalescing;
	struct net_window *window; /* receive */
	struct iovec *iovs;	   /* transmit: the chain in hand */
	/* The thread's own, for a packet that is steered, or sent from too many pieces; or NULL. */
	uint8_t *packet;

	/* The packet that waited for buffers when the ring was stopped, and its length. */
	uint8_t *kept;
	size_t kept_len;
};

/* Why a thread has nothing more to do. */
enum progress {
	BROKEN = -1,
	UNFINISHED,
	NEEDS_DRIVER,  /* it must make more chains available */
	NEEDS_BACKEND, /* a packet, or room for one; or other settings */
};

struct inprocess {
	struct datapath datapath;
	char name[8];
	const struct guest_memory *mem;
	struct net_backend *backend; /* owned */
	struct ring_worker *workers;
	unsigned int queue_pairs;
	uint64_t features; /* accepted; fixed while a ring runs */

	/* What follows are the settings: read while one's own worker's lock is held, written while
	 * all are. */
	unsigned int receiving; /* how many pairs receive */
	bool filters;		/* some packets are not wanted */
	bool steers;		/* packets may be for other rings */
	bool reports;		/* the header has a hash */
	struct net_window_format format;
	struct net_filter filter;
	struct net_rss rss;
};

static bool accepted(const struct inprocess *dp, unsigned int feature)
{
	return dp->features >> feature & 1;
}

static bool receives(const struct ring_worker *worker)
{
	return worker->index % 2 == 0;
}

/* The worker of the receive ring of @pair. */
static struct ring_worker *receiver(const struct inprocess *dp, unsigned int pair)
{
	return &dp->workers[2UL * pair];
}

static bool stopping(const struct ring_worker *worker)
{
	return atomic_load_explicit(&worker->stopping, memory_order_acquire);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* While the settings are held: keep others off the ring of @worker, if there may be any. */
static void enter_ring(struct ring_worker *worker)
{
	if (worker->dp->steers)
		pthread_mutex_lock(&worker->lock);
}

static void leave_ring(struct ring_worker *worker)
{
	if (worker->dp->steers)
		pthread_mutex_unlock(&worker->lock);
}

/* --- interrupts --- */

static void interrupt(struct ring_worker *worker)
{
	atomic_fetch_or(worker->wires.interrupt_status, VIRTIO_MMIO_INT_VRING);
	fd_eventfd_signal(worker->wires.call_fd);
}

/* When the interrupt that is waited with is due at last, in ns; 0: none is. */
static uint64_t interrupt_due(const struct coalescing *coalescing)
{
	if (!coalescing->since)
		return 0;
	return coalescing->since + (uint64_t)coalescing->max_usecs * NS_PER_US;
}

/* Whether the limits are reached: then counting starts again. */
static bool limit_reached(struct coalescing *coalescing)
{
	uint64_t now;

	if (!coalescing->packets)
		return false;
	if (coalescing->max_packets > coalescing->packets && coalescing->max_usecs) {
		now = now_ns();
		if (!coalescing->since)
			coalescing->since = now;
		if (now < interrupt_due(coalescing))
			return false;
	}
	coalescing->packets = 0;
	coalescing->since = 0;
	return true;
}

/* Let the driver see what was pushed, and interrupt it if it wants that and it is time. */
static void publish(struct ring_worker *worker)
{
	struct coalescing *coalescing = &worker->coalescing;

	coalescing->owed |= ring_publish(&worker->ring);
	if (limit_reached(coalescing) && coalescing->owed) {
		coalescing->owed = false;
		interrupt(worker);
	}
}

/* The ring stops: the driver gets the interrupt that it may be waiting for. */
static void publish_finally(struct ring_worker *worker)
{
	struct coalescing *coalescing = &worker->coalescing;

	if (ring_publish(&worker->ring) || coalescing->owed)
		interrupt(worker);
	coalescing->owed = false;
	coalescing->packets = 0;
	coalescing->since = 0;
}

/* A packet was handled. True if that is enough for now. */
static bool count_packet(struct ring_worker *worker)
{
	struct coalescing *coalescing = &worker->coalescing;

	coalescing->packets++;
	return worker->ring.pushed >= BATCH || coalescing->packets == coalescing->max_packets;
}

/* --- waiting --- */

/* Sleep until @until (ns, 0: for ever), a kick, a wake-up, or what else epoll knows. */
static void wait_event(struct ring_worker *worker, uint64_t until)
{
	struct epoll_event events[3];
	struct timespec timeout;
	uint64_t now;

	/*
	 * All are edge-triggered: there is no need to read an eventfd, and an event that came while
	 * we worked makes this return at once.
	 */
	if (!until) {
		epoll_wait(worker->epoll_fd, events, 3, -1);
		return;
	}
	now = now_ns();
	if (now >= until)
		return;
	timeout.tv_sec = (time_t)((until - now) / NS_PER_S);
	timeout.tv_nsec = (long)((until - now) % NS_PER_S);
	epoll_pwait2(worker->epoll_fd, events, 3, &timeout, NULL);
}

/* Whether the thread may sleep: if it needs the driver, once that was asked for a kick. */
static bool may_sleep(struct ring_worker *worker, enum progress progress)
{
	if (progress == NEEDS_DRIVER) {
		worker->kicks = true;
		return !ring_enable_kicks(&worker->ring);
	}
	return progress != UNFINISHED;
}

static void wake(struct ring_worker *worker)
{
	if (worker->running)
		fd_eventfd_signal(worker->wake_fd);
}

/* --- transmit --- */

/* False if there is no room for the packet. */
static bool send_packet(struct ring_worker *worker, const struct ring_chain *chain)
{
	struct net_backend *backend = worker->dp->backend;
	struct iovec *iovs = worker->iovs;
	unsigned int n = chain->n_out;

	/* Too short for a header, or refused by the backend: the packet is lost, as on a wire. */
	if (chain->out_len < worker->dp->format.header_size)
		return true;
	if (n > IOV_MAX) {
		if (chain->out_len > NET_PACKET_MAX)
			return true;
		iov_gather(worker->packet, iovs, 0, chain->out_len);
		iovs[0] = (struct iovec){worker->packet, chain->out_len};
		n = 1;
	}
	return backend->ops->send(backend, worker->index / 2, iovs, n) != -EAGAIN;
}

/* Send what is available, up to a batch. */
static enum progress transmit(struct ring_worker *worker)
{
	for (int i = 0; i < BATCH && !stopping(worker); i++) {
		struct ring_chain chain;
		int ret = ring_pop(&worker->ring, &chain, worker->iovs, worker->ring.state.size);

		if (ret <= 0)
			return ret ? BROKEN : NEEDS_DRIVER;
		if (!send_packet(worker, &chain)) {
			ring_rewind(&worker->ring, chain.position);
			return NEEDS_BACKEND;
		}
		ring_push(&worker->ring, &chain, 0);
		if (count_packet(worker))
			break;
	}
	return UNFINISHED;
}

/* --- receive --- */

/* What follows the other fields of a struct virtio_net_hdr_v1_hash. */
struct hash_fields {
	uint32_t value;
	uint16_t report;
	uint16_t padding;
};
_Static_assert(sizeof(struct virtio_net_hdr_v1) + sizeof(struct hash_fields) ==
		       sizeof(struct virtio_net_hdr_v1_hash),
	       "5.1.6");

static struct hash_fields hash_fields(uint32_t hash, uint16_t report)
{
	return (struct hash_fields){htole32(hash), htole16(report), 0};
}

/*
 * Look at the packet of @len bytes at @iovs, which are guest memory for the most part: copied once.
 * False if the driver doesn't want it; else, if it wants to know the hash, that is in the header.
 */
static bool inspect(const struct inprocess *dp, const struct iovec *iovs, size_t len)
{
	uint8_t frame[NET_RSS_HEADER];
	size_t header = dp->format.header_size,
	       n = dp->reports ? NET_RSS_HEADER : NET_FILTER_HEADER;
	struct hash_fields fields;
	uint16_t report;
	uint32_t hash;

	n = len - header < n ? len - header : n;
	iov_gather(frame, iovs, header, n);
	if (dp->filters && !net_filter_accepts(&dp->filter, frame, n))
		return false;
	if (!dp->reports)
		return true;
	hash = net_rss_hash(&dp->rss, frame, n, &report);
	fields = hash_fields(hash, report);
	iov_scatter(iovs, sizeof(struct virtio_net_hdr_v1), &fields, sizeof(fields));
	return true;
}

/* The filter may have changed while the packet waited. */
static void place_pending(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;
	struct net_window *window = worker->window;
	const struct iovec packet = {window->overflow, window->pending};

	if (dp->filters && !inspect(dp, &packet, window->pending))
		window->pending = 0;
	else
		net_window_place_pending(window, &worker->ring);
}

/* Receive straight into the ring's own buffers, up to a batch. */
static enum progress receive(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;
	struct net_window *window = worker->window;

	for (int i = 0; i < BATCH && !stopping(worker); i++) {
		struct iovec *iovs;
		unsigned int n;
		size_t direct;
		ssize_t len;

		if (net_window_fill(window, &worker->ring))
			return BROKEN;
		if (window->pending) {
			place_pending(worker);
			if (window->pending)
				return NEEDS_DRIVER;
			if (count_packet(worker))
				break;
			continue;
		}
		if (!window->n_chains)
			return NEEDS_DRIVER;
		iovs = net_window_begin(window, &n);
		len = dp->backend->ops->receive(dp->backend, worker->index / 2, iovs, n);
		direct = net_window_end(window, len > 0 ? (size_t)len : 0);
		if (len <= 0)
			/* No packet, or the link is down or gone. Wait for an event. */
			return NEEDS_BACKEND;
		if ((size_t)len < dp->format.header_size || len > NET_PACKET_MAX)
			continue; /* No packet is like that. */
		if ((dp->filters || dp->reports) && !inspect(dp, iovs, (size_t)len))
			continue; /* The next one goes into the same buffers. */
		net_window_place(window, &worker->ring, (size_t)len, direct);
		if (count_packet(worker))
			break;
	}
	return UNFINISHED;
}

/* --- receive-side scaling --- */

static void tell_broken(struct ring_worker *worker)
{
	const struct datapath_events *events = &worker->dp->datapath.events;

	if (!worker->told)
		events->ring_broken(events->opaque, worker->index, worker->ring.broken);
	worker->told = true;
}

/* Publish to another ring than one's own. */
static void publish_to(struct ring_worker *to)
{
	bool counting = interrupt_due(&to->coalescing);

	publish(to);
	/* Its own thread must see to it that the interrupt isn't forgotten. */
	if (!counting && interrupt_due(&to->coalescing))
		wake(to);
}

/* Give the packet to the ring that it is for. If that has no buffers it is lost. */
static void steer_packet(struct ring_worker *to, const uint8_t *packet, size_t len)
{
	enter_ring(to);
	if (to->running) {
		if (net_window_fill(to->window, &to->ring))
			tell_broken(to);
		else if (net_window_put(to->window, &to->ring, packet, len) && count_packet(to))
			publish_to(to);
	}
	leave_ring(to);
}

/*
 * Receive a batch, each packet for the ring that its hash says. All of a flow come by one queue of
 * the backend, so one thread handles them, one after the other.
 */
static enum progress receive_and_steer(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;
	struct iovec iov = {worker->packet, NET_PACKET_MAX + 1};
	size_t header = dp->format.header_size;
	enum progress progress = UNFINISHED;
	uint64_t given = 0; /* pairs that got packets */

	for (int i = 0; i < BATCH && !stopping(worker); i++) {
		const uint8_t *frame = worker->packet + header;
		struct hash_fields fields;
		unsigned int pair;
		uint16_t report;
		uint32_t hash;
		ssize_t len = dp->backend->ops->receive(dp->backend, worker->index / 2, &iov, 1);

		if (len <= 0) {
			progress = NEEDS_BACKEND;
			break;
		}
		if ((size_t)len < header || len > NET_PACKET_MAX)
			continue;
		if (dp->filters && !net_filter_accepts(&dp->filter, frame, (size_t)len - header))
			continue;
		hash = net_rss_hash(&dp->rss, frame, (size_t)len - header, &report);
		if (dp->reports) {
			fields = hash_fields(hash, report);
			memcpy(worker->packet + sizeof(struct virtio_net_hdr_v1), &fields,
			       sizeof(fields));
		}
		pair = net_rss_queue(&dp->rss, hash, report);
		steer_packet(receiver(dp, pair), worker->packet, (size_t)len);
		given |= 1ULL << pair;
	}
	for (unsigned int pair = 0; given; pair++, given >>= 1) {
		struct ring_worker *to = receiver(dp, pair);

		if (!(given & 1))
			continue;
		enter_ring(to);
		if (to->running)
			publish_to(to);
		leave_ring(to);
	}
	return progress;
}

/* --- threads --- */

static enum progress work(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;

	if (!receives(worker))
		return transmit(worker);
	if (worker->index / 2 >= dp->receiving)
		return NEEDS_BACKEND;
	return dp->steers ? receive_and_steer(worker) : receive(worker);
}

/* One batch. True if the thread may sleep after it, until @until (as interrupt_due()) at most. */
static bool serve_batch(struct ring_worker *worker, uint64_t *until)
{
	enum progress progress;
	bool sleep;

	enter_ring(worker);
	if (worker->kicks)
		ring_disable_kicks(&worker->ring);
	worker->kicks = false;
	leave_ring(worker);

	progress = work(worker);

	enter_ring(worker);
	publish(worker);
	if (progress == BROKEN)
		tell_broken(worker);
	sleep = may_sleep(worker, progress);
	*until = interrupt_due(&worker->coalescing);
	leave_ring(worker);
	return sleep;
}

static void *serve_ring(void *arg)
{
	struct ring_worker *worker = arg;

	while (!stopping(worker)) {
		uint64_t until;
		bool sleep;

		pthread_rwlock_rdlock(&worker->settings);
		sleep = serve_batch(worker, &until);
		pthread_rwlock_unlock(&worker->settings);
		if (sleep)
			wait_event(worker, until);
	}
	return NULL;
}

static int watch(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events | (uint32_t)EPOLLET};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void worker_cleanup(struct ring_worker *worker)
{
	fd_close(&worker->wake_fd);
	fd_close(&worker->epoll_fd);
	net_window_destroy(worker->window);
	worker->window = NULL;
	free(worker->iovs);
	worker->iovs = NULL;
	free(worker->packet);
	worker->packet = NULL;
}

static int allocate(struct ring_worker *worker, uint16_t size)
{
	const struct inprocess *dp = worker->dp;

	if (receives(worker)) {
		worker->window = net_window_create(size, &dp->format);
		if (!worker->window)
			return -ENOMEM;
	} else {
		worker->iovs = malloc(size * sizeof(worker->iovs[0]));
		if (!worker->iovs)
			return -ENOMEM;
	}
	if (receives(worker) ? dp->queue_pairs > 1 : size > IOV_MAX) {
		worker->packet = malloc(NET_PACKET_MAX + 1);
		if (!worker->packet)
			return -ENOMEM;
	}
	return 0;
}

static int worker_prepare(struct ring_worker *worker, uint16_t size)
{
	const struct net_backend *backend = worker->dp->backend;
	int ret = allocate(worker, size);

	if (ret)
		return ret;
	worker->wake_fd = fd_eventfd();
	if (worker->wake_fd < 0)
		return worker->wake_fd;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	ret = watch(worker->epoll_fd, worker->wake_fd, EPOLLIN);
	if (!ret)
		ret = watch(worker->epoll_fd, worker->wires.kick_fd, EPOLLIN);
	if (!ret)
		ret = watch(worker->epoll_fd, backend->ops->fd(backend, worker->index / 2),
			    receives(worker) ? EPOLLIN : EPOLLOUT);
	return ret;
}

/* --- packets that wait while their ring is stopped --- */

static void forget_kept(struct ring_worker *worker)
{
	free(worker->kept);
	worker->kept = NULL;
	worker->kept_len = 0;
}

static void keep_pending(struct ring_worker *worker)
{
	const struct net_window *window = worker->window;

	if (!window->pending)
		return;
	worker->kept = malloc(window->pending);
	if (!worker->kept)
		return; /* then it is lost */
	memcpy(worker->kept, window->overflow, window->pending);
	worker->kept_len = window->pending;
}

static void restore_pending(struct ring_worker *worker)
{
	if (worker->kept)
		memcpy(worker->window->overflow, worker->kept, worker->kept_len);
	worker->window->pending = worker->kept_len;
	forget_kept(worker);
}

/* No packet from before goes to the receive ring of @pair. While no thread handles packets. */
static void forget_pending(const struct inprocess *dp, unsigned int pair)
{
	struct ring_worker *worker = receiver(dp, pair);

	if (worker->window)
		worker->window->pending = 0;
	forget_kept(worker);
}

/* --- rings --- */

static int inprocess_start_ring(struct datapath *datapath, unsigned int index,
				const struct ring_state *state, const struct datapath_wires *wires)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	struct ring_worker *worker = &dp->workers[index];
	char name[16];
	int ret;

	worker->wires = *wires;
	worker->told = false;
	worker->kicks = true; /* as a ring begins */
	atomic_store(&worker->stopping, false);
	/* A ring that is wrong from the start breaks when its thread first takes a chain. */
	ring_start(&worker->ring, dp->mem, state, dp->features);
	ret = worker_prepare(worker, state->size);
	if (!ret) {
		if (receives(worker))
			restore_pending(worker);
		pthread_mutex_lock(&worker->lock);
		worker->running = true;
		pthread_mutex_unlock(&worker->lock);
		snprintf(name, sizeof(name), "%s-%s%u", dp->name, index % 2 ? "tx" : "rx",
			 (index / 2) & 0xff);
		ret = thread_create(&worker->thread, name, serve_ring, worker);
	}
	if (ret) {
		pthread_mutex_lock(&worker->lock);
		worker->running = false;
		pthread_mutex_unlock(&worker->lock);
		worker_cleanup(worker);
	}
	return ret;
}

static void inprocess_stop_ring(struct datapath *datapath, unsigned int index,
				struct ring_state *state)
{
	struct ring_worker *worker = &((struct inprocess *)datapath)->workers[index];

	atomic_store_explicit(&worker->stopping, true, memory_order_release);
	fd_eventfd_signal(worker->wake_fd);
	pthread_join(worker->thread, NULL);
	/* From here on no other thread steers packets to it. */
	pthread_mutex_lock(&worker->lock);
	worker->running = false;
	pthread_mutex_unlock(&worker->lock);
	publish_finally(worker);
	if (receives(worker)) {
		keep_pending(worker);
		/* Buffers that no packet came for are the next datapath's. */
		net_window_rewind(worker->window, &worker->ring);
	}
	*state = worker->ring.state;
	worker_cleanup(worker);
}

/* --- features and settings --- */

static uint64_t inprocess_features(const struct datapath *datapath)
{
	const struct inprocess *dp = (const struct inprocess *)datapath;
	uint64_t features = FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
			    FEATURE(VIRTIO_RING_F_EVENT_IDX) | FEATURE(VIRTIO_F_RING_PACKED) |
			    FEATURE(VIRTIO_F_IN_ORDER) | FEATURE(VIRTIO_NET_F_CTRL_RX) |
			    FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | FEATURE(VIRTIO_NET_F_CTRL_VLAN) |
			    FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) |
			    FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
			    FEATURE(VIRTIO_NET_F_NOTF_COAL) | FEATURE(VIRTIO_NET_F_VQ_NOTF_COAL) |
			    FEATURE(VIRTIO_NET_F_RSS) | FEATURE(VIRTIO_NET_F_HASH_REPORT);

	if (dp->queue_pairs > 1)
		features |= FEATURE(VIRTIO_NET_F_MQ);
	return features | dp->backend->ops->features(dp->backend);
}

static unsigned int inprocess_max_queue_pairs(const struct datapath *datapath)
{
	return ((const struct inprocess *)datapath)->queue_pairs;
}

static int set_receiving(struct inprocess *dp, unsigned int n)
{
	int ret = 0;

	if (dp->queue_pairs > 1)
		ret = dp->backend->ops->set_queues(dp->backend, n);
	if (!ret)
		dp->receiving = n;
	return ret;
}

static int inprocess_set_features(struct datapath *datapath, uint64_t features)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	int ret = dp->backend->ops->set_features(dp->backend, features);

	if (!ret)
		ret = set_receiving(dp, 1);
	if (ret)
		return ret;
	dp->features = features;
	dp->filters = false;
	dp->steers = false;
	dp->reports = accepted(dp, VIRTIO_NET_F_HASH_REPORT);
	dp->rss = (struct net_rss){0};
	dp->format = (struct net_window_format){
		.header_size = dp->reports ? sizeof(struct virtio_net_hdr_v1_hash)
					   : sizeof(struct virtio_net_hdr_v1),
		.merge = accepted(dp, VIRTIO_NET_F_MRG_RXBUF),
		.csum = accepted(dp, VIRTIO_NET_F_GUEST_CSUM),
	};
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		dp->workers[i].coalescing = (struct coalescing){0};
	for (unsigned int pair = 0; pair < dp->queue_pairs; pair++)
		forget_pending(dp, pair);
	return 0;
}

/* Between these two no thread handles a packet; after them each looks at what has changed. */
static void settings_begin(struct inprocess *dp)
{
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		pthread_rwlock_wrlock(&dp->workers[i].settings);
}

static void settings_end(struct inprocess *dp)
{
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		pthread_rwlock_unlock(&dp->workers[i].settings);
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		wake(&dp->workers[i]);
}

static int inprocess_set_filter(struct datapath *datapath, const struct net_filter *filter)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	settings_begin(dp);
	dp->filter = *filter;
	dp->filters = filter->active || filter->vlan_active;
	settings_end(dp);
	return 0;
}

static int inprocess_set_queue_pairs(struct datapath *datapath, unsigned int n)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	int ret;

	if (n == 0 || n > dp->queue_pairs)
		return -EINVAL;
	settings_begin(dp);
	ret = set_receiving(dp, n);
	for (unsigned int pair = n; !ret && pair < dp->queue_pairs; pair++)
		forget_pending(dp, pair);
	settings_end(dp);
	return ret;
}

static bool rss_valid(const struct inprocess *dp, const struct net_rss *rss)
{
	if (!rss->table_size)
		return true;
	if (rss->table_size & (rss->table_size - 1u) || rss->table_size > NET_RSS_TABLE_MAX ||
	    rss->unclassified >= dp->queue_pairs)
		return false;
	for (unsigned int i = 0; i < rss->table_size; i++) {
		if (rss->table[i] >= dp->queue_pairs)
			return false;
	}
	return true;
}

static int inprocess_set_rss(struct datapath *datapath, const struct net_rss *rss)
{
	static const struct net_rss none;
	struct inprocess *dp = (struct inprocess *)datapath;

	if (!rss)
		rss = &none;
	if (!rss_valid(dp, rss))
		return -EINVAL;
	settings_begin(dp);
	dp->rss = *rss;
	dp->steers = rss->table_size && dp->queue_pairs > 1;
	/* Steered packets don't wait, nor behind others. */
	for (unsigned int pair = 0; dp->steers && pair < dp->queue_pairs; pair++)
		forget_pending(dp, pair);
	settings_end(dp);
	return 0;
}

static int inprocess_set_offloads(struct datapath *datapath, uint64_t features)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	uint64_t on = dp->features & (features | ~guest_offloads);
	int ret;

	settings_begin(dp);
	ret = dp->backend->ops->set_features(dp->backend, on);
	if (!ret) {
		dp->format.csum = on & FEATURE(VIRTIO_NET_F_GUEST_CSUM);
		for (unsigned int pair = 0; pair < dp->queue_pairs; pair++)
			forget_pending(dp, pair);
	}
	settings_end(dp);
	return ret;
}

static int inprocess_set_coalescing(struct datapath *datapath, unsigned int index,
				    uint32_t max_packets, uint32_t max_usecs)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	struct ring_worker *worker = &dp->workers[index];

	settings_begin(dp);
	worker->coalescing.max_packets = max_packets;
	worker->coalescing.max_usecs = max_usecs;
	/* By the new limits it may be time already: its thread will see. */
	settings_end(dp);
	return 0;
}

static void inprocess_destroy(struct datapath *datapath)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	dp->backend->ops->destroy(dp->backend);
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++) {
		forget_kept(&dp->workers[i]);
		pthread_mutex_destroy(&dp->workers[i].lock);
		pthread_rwlock_destroy(&dp->workers[i].settings);
	}
	free(dp->workers);
	free(dp);
}

static const struct datapath_ops inprocess_ops = {
	.features = inprocess_features,
	.max_queue_pairs = inprocess_max_queue_pairs,
	.set_features = inprocess_set_features,
	.start_ring = inprocess_start_ring,
	.stop_ring = inprocess_stop_ring,
	.set_filter = inprocess_set_filter,
	.set_queue_pairs = inprocess_set_queue_pairs,
	.set_rss = inprocess_set_rss,
	.set_offloads = inprocess_set_offloads,
	.set_coalescing = inprocess_set_coalescing,
	.destroy = inprocess_destroy,
};

static void worker_init(struct ring_worker *worker, struct inprocess *dp, unsigned int index)
{
	pthread_rwlockattr_t attr;

	worker->dp = dp;
	worker->index = index;
	worker->wake_fd = worker->epoll_fd = -1;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&worker->settings, &attr);
	pthread_rwlockattr_destroy(&attr);
}

struct datapath *inprocess_create(const struct inprocess_config *config)
{
	unsigned int n = 2 * config->queue_pairs;
	struct inprocess *dp = calloc(1, sizeof(*dp));
	struct ring_worker *workers = calloc(n, sizeof(*workers));

	if (!dp || !workers) {
		free(dp);
		free(workers);
		config->backend->ops->destroy(config->backend);
		return NULL;
	}
	dp->datapath.ops = &inprocess_ops;
	snprintf(dp->name, sizeof(dp->name), "%s", config->name);
	dp->mem = config->mem;
	dp->backend = config->backend;
	dp->workers = workers;
	dp->queue_pairs = config->queue_pairs;
	for (unsigned int i = 0; i < n; i++)
		worker_init(&workers[i], dp, i);
	return &dp->datapath;
}
