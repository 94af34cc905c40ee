/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_inprocess.h"

#include <errno.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/net_backend.h"
#include "virtio/ring.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"

enum {
	HEADER_SIZE = sizeof(struct virtio_net_hdr_v1),
	/* The largest packet (5.1.6.3): Ethernet with a VLAN tag, IPv6, 64 KiB. */
	PACKET_MAX = HEADER_SIZE + 18 + 40 + 65535,
	/* Used buffers are published when the work runs out, and after so many. */
	BATCH = 64,
	/*
	 * Room for the pieces of the chains that wait for packets. One chain, which has at most
	 * INPROCESS_RING_SIZE_MAX, always finds room; where pieces are that small, many don't.
	 */
	WINDOW_IOVS = 2 * INPROCESS_RING_SIZE_MAX,
};
_Static_assert(HEADER_SIZE == 12, "virtio 1.3, 5.1.6: with num_buffers");
_Static_assert((int)WINDOW_IOVS + 1 <= (int)IOV_MAX, "one readv takes it all");

/*
 * Receive buffers that were taken from the ring and wait for a packet, oldest first. A packet is
 * read straight into them; whatever doesn't fit lands in the overflow.
 */
struct window {
	unsigned int first_chain, n_chains;
	unsigned int first_iov, n_iovs;
	size_t capacity; /* bytes in the chains */
	size_t pending;	 /* length of a packet in the overflow that needs more buffers; or 0 */
	bool full;	 /* no further chain can be taken, though they hold no largest packet */
	struct ring_chain chains[INPROCESS_RING_SIZE_MAX];
	struct iovec iovs[WINDOW_IOVS + 1]; /* of these chains, in order; one spare for overflow */
	uint8_t overflow[PACKET_MAX];	    /* hardly ever touched: then its pages don't exist */
};

/* One ring and its thread, which alone touches what it points to while it runs. */
struct ring_worker {
	struct inprocess *dp;
	unsigned int index;
	struct datapath_wires wires;
	pthread_t thread;
	int stop_fd;  /* eventfd, owned */
	int epoll_fd; /* owned */
	_Atomic bool stopping;
	struct ring ring;
	union {
		struct window *window; /* receive */
		struct iovec *iovs;    /* transmit: the chain in hand */
		void *memory;
	};
};

struct inprocess {
	struct datapath datapath;
	char name[8];
	const struct guest_memory *mem;
	struct net_backend *backend; /* owned */
	uint64_t features;	     /* accepted; fixed while a ring runs */
	struct ring_worker *workers;
	unsigned int n_workers;
};

static bool accepted(const struct inprocess *dp, unsigned int feature)
{
	return dp->features >> feature & 1;
}

/* --- waiting and waking --- */

/* Sleep until a kick, the stop, or what else is registered with epoll. */
static void wait_event(struct ring_worker *worker)
{
	struct epoll_event events[3];

	/*
	 * The kick and the backend are edge-triggered: there is no need to read the eventfd, and
	 * an event that came while we worked makes this return at once.
	 */
	epoll_wait(worker->epoll_fd, events, 3, -1);
}

static void publish(struct ring_worker *worker)
{
	if (!ring_publish(&worker->ring))
		return;
	atomic_fetch_or(worker->wires.interrupt_status, VIRTIO_MMIO_INT_VRING);
	fd_eventfd_signal(worker->wires.call_fd);
}

static bool stopping(const struct ring_worker *worker)
{
	return atomic_load_explicit(&worker->stopping, memory_order_acquire);
}

/* --- transmit --- */

/* False if the ring is to stop before there was room for the packet. */
static bool send_packet(struct ring_worker *worker, const struct ring_chain *chain)
{
	struct net_backend *backend = worker->dp->backend;

	/* Too short for a header, or refused by the backend: the packet is lost, as on a wire. */
	if (chain->out_len < HEADER_SIZE)
		return true;
	while (backend->ops->send(backend, worker->index / 2, worker->iovs, chain->n_out) ==
	       -EAGAIN) {
		if (stopping(worker))
			return false;
		/* What went out before doesn't wait with it. */
		publish(worker);
		wait_event(worker);
	}
	return true;
}

/* Send what is available. 0 when the ring is empty, negative when it is broken. */
static int transmit_all(struct ring_worker *worker)
{
	struct ring_chain chain;
	int ret;

	while (!stopping(worker)) {
		ret = ring_pop(&worker->ring, &chain, worker->iovs, INPROCESS_RING_SIZE_MAX);
		if (ret <= 0)
			return ret;
		if (!send_packet(worker, &chain)) {
			ring_rewind(&worker->ring, chain.position);
			return 0;
		}
		ring_push(&worker->ring, &chain, 0);
		if (worker->ring.pushed >= BATCH)
			publish(worker);
	}
	return 0;
}

/* --- receive --- */

static struct window *window_create(void)
{
	struct window *window = malloc(sizeof(*window));

	if (window) {
		window->first_chain = window->n_chains = 0;
		window->first_iov = window->n_iovs = 0;
		window->capacity = window->pending = 0;
		window->full = false;
	}
	return window;
}

static struct iovec *window_iovs(struct window *window)
{
	return window->iovs + window->first_iov;
}

/* Take chains until they hold the largest packet, or there are no more. Negative: broken. */
static int window_fill(struct ring_worker *worker)
{
	struct window *window = worker->window;
	int ret;

	window->full = false;
	if (window->capacity >= PACKET_MAX)
		return 0;
	if (window->first_iov) {
		memmove(window->iovs, window_iovs(window),
			window->n_iovs * sizeof(window->iovs[0]));
		memmove(window->chains, window->chains + window->first_chain,
			window->n_chains * sizeof(window->chains[0]));
		window->first_iov = window->first_chain = 0;
	}
	while (window->capacity < PACKET_MAX) {
		struct ring_chain *chain = &window->chains[window->n_chains];

		window->full = window->n_chains == worker->ring.state.size;
		if (window->full)
			return 0;
		ret = ring_pop(&worker->ring, chain, window->iovs + window->n_iovs,
			       WINDOW_IOVS - window->n_iovs);
		window->full = ret == -ENOBUFS;
		if (window->full)
			return 0;
		if (ret <= 0)
			return ret;
		if (chain->n_out || chain->in_len < HEADER_SIZE) {
			worker->ring.broken = "a receive buffer is readable or too small";
			return -EPROTO;
		}
		window->n_chains++;
		window->n_iovs += chain->n_in;
		window->capacity += chain->in_len;
	}
	return 0;
}

/* Copy @len bytes into @iovs from byte @offset on; they hold that many. */
static void scatter(const struct iovec *iovs, size_t offset, const void *from, size_t len)
{
	const uint8_t *at = from;

	for (; len > 0; iovs++) {
		size_t n;

		if (offset >= iovs->iov_len) {
			offset -= iovs->iov_len;
			continue;
		}
		n = iovs->iov_len - offset;
		n = n < len ? n : len;
		memcpy((uint8_t *)iovs->iov_base + offset, at, n);
		offset = 0;
		at += n;
		len -= n;
	}
}

/* How many of the waiting chains a packet of @len bytes takes; 0 if they can't hold it. */
static unsigned int chains_for(const struct inprocess *dp, const struct window *window, size_t len)
{
	unsigned int limit = accepted(dp, VIRTIO_NET_F_MRG_RXBUF) ? window->n_chains : 1;
	size_t room = 0;

	for (unsigned int n = 0; n < limit && n < window->n_chains; n++) {
		room += window->chains[window->first_chain + n].in_len;
		if (room >= len)
			return n + 1;
	}
	return 0;
}

/* Return the first @n chains of the window with a packet of @len bytes in them. */
static void deliver(struct ring_worker *worker, unsigned int n, size_t len)
{
	struct window *window = worker->window;
	struct iovec *iovs = window_iovs(window);
	uint16_t num_buffers = htole16((uint16_t)n);

	scatter(iovs, offsetof(struct virtio_net_hdr_v1, num_buffers), &num_buffers,
		sizeof(num_buffers));
	if (!accepted(worker->dp, VIRTIO_NET_F_GUEST_CSUM))
		/* 5.1.6.4.1: no flags then; a tap says DATA_VALID all the same. */
		scatter(iovs, offsetof(struct virtio_net_hdr_v1, flags), &(uint8_t){0}, 1);
	for (unsigned int i = 0; i < n; i++) {
		const struct ring_chain *chain = &window->chains[window->first_chain++];
		size_t written = len < chain->in_len ? len : chain->in_len;

		ring_push(&worker->ring, chain, (uint32_t)written);
		len -= written;
		window->n_chains--;
		window->first_iov += chain->n_in;
		window->n_iovs -= chain->n_in;
		window->capacity -= chain->in_len;
	}
}

/*
 * A packet of @len bytes is there whose first @direct bytes are in the window and whose rest is in
 * the overflow. Deliver it, or keep it until the driver has made more buffers available.
 */
static void place(struct ring_worker *worker, size_t len, size_t direct)
{
	struct window *window = worker->window;
	unsigned int n = chains_for(worker->dp, window, len);

	window->pending = 0;
	if (n) {
		if (len > direct)
			scatter(window_iovs(window), direct, window->overflow, len - direct);
		deliver(worker, n, len);
	} else if (accepted(worker->dp, VIRTIO_NET_F_MRG_RXBUF) && !window->full) {
		/* All in one place, since the window moves. */
		memmove(window->overflow + direct, window->overflow, len - direct);
		for (size_t at = 0, i = 0; at < direct; i++) {
			const struct iovec *iov = &window_iovs(window)[i];
			size_t part = iov->iov_len < direct - at ? iov->iov_len : direct - at;

			memcpy(window->overflow + at, iov->iov_base, part);
			at += part;
		}
		window->pending = len;
	}
	/* Else there is no more room to come: the packet is lost. */
}

/* Receive what waits, as long as there are buffers. 0: nothing more for now; negative: broken. */
static int receive_all(struct ring_worker *worker)
{
	struct net_backend *backend = worker->dp->backend;
	struct window *window = worker->window;

	while (!stopping(worker)) {
		size_t pending = window->pending;
		ssize_t len;
		int ret = window_fill(worker);

		if (ret < 0)
			return ret;
		if (pending) {
			place(worker, pending, 0);
			if (window->pending)
				return 0;
			continue;
		}
		if (!window->n_chains)
			return 0;
		window_iovs(window)[window->n_iovs] = (struct iovec){window->overflow,
								     sizeof(window->overflow)};
		len = backend->ops->receive(backend, worker->index / 2, window_iovs(window),
					    window->n_iovs + 1);
		if (len <= 0)
			/* No packet, or the link is down or gone. Wait for an event. */
			return 0;
		if (len < HEADER_SIZE || len > PACKET_MAX)
			continue; /* No packet is like that. */
		place(worker, (size_t)len,
		      (size_t)len < window->capacity ? (size_t)len : window->capacity);
		if (worker->ring.pushed >= BATCH)
			publish(worker);
	}
	return 0;
}

/* Whether the receive ring must be kicked to go on: a packet waits for buffers, or may. */
static bool wants_buffers(const struct window *window)
{
	return window->pending || !window->n_chains;
}

/* --- threads --- */

static void *serve_ring(void *arg)
{
	struct ring_worker *worker = arg;
	const struct datapath_events *events = &worker->dp->datapath.events;
	bool receives = worker->index % 2 == 0;
	int ret = 0;

	ring_disable_kicks(&worker->ring);
	while (!stopping(worker)) {
		ret = receives ? receive_all(worker) : transmit_all(worker);
		publish(worker);
		if (ret < 0)
			break;
		if (!receives || wants_buffers(worker->window)) {
			if (ring_enable_kicks(&worker->ring)) {
				ring_disable_kicks(&worker->ring);
				continue;
			}
			wait_event(worker);
			ring_disable_kicks(&worker->ring);
		} else {
			wait_event(worker);
		}
	}
	publish(worker);
	if (ret < 0)
		events->ring_broken(events->opaque, worker->index, worker->ring.broken);
	return NULL;
}

static int watch(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void worker_cleanup(struct ring_worker *worker)
{
	fd_close(&worker->stop_fd);
	fd_close(&worker->epoll_fd);
	free(worker->memory);
	worker->memory = NULL;
}

static int worker_prepare(struct ring_worker *worker)
{
	const struct net_backend *backend = worker->dp->backend;
	bool receives = worker->index % 2 == 0;
	int backend_fd = backend->ops->fd(backend, worker->index / 2);
	int ret;

	if (receives)
		worker->window = window_create();
	else
		worker->iovs = malloc(INPROCESS_RING_SIZE_MAX * sizeof(struct iovec));
	if (!worker->memory)
		return -ENOMEM;
	worker->stop_fd = fd_eventfd();
	if (worker->stop_fd < 0)
		return worker->stop_fd;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	ret = watch(worker->epoll_fd, worker->stop_fd, EPOLLIN);
	if (!ret)
		ret = watch(worker->epoll_fd, worker->wires.kick_fd, EPOLLIN | EPOLLET);
	if (!ret)
		ret = watch(worker->epoll_fd, backend_fd,
			    (receives ? EPOLLIN : EPOLLOUT) | (uint32_t)EPOLLET);
	return ret;
}

static int inprocess_start_ring(struct datapath *datapath, unsigned int index,
				const struct ring_state *state, const struct datapath_wires *wires)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	struct ring_worker *worker = &dp->workers[index];
	char name[16];
	int ret;

	if (state->size > INPROCESS_RING_SIZE_MAX)
		return -EINVAL;
	worker->wires = *wires;
	atomic_store(&worker->stopping, false);
	/* A ring that is wrong from the start breaks when its thread first takes a chain. */
	ring_start(&worker->ring, dp->mem, state, dp->features);
	ret = worker_prepare(worker);
	if (!ret) {
		snprintf(name, sizeof(name), "%s-%s%u", dp->name, index % 2 ? "tx" : "rx",
			 (index / 2) & 0xff);
		ret = thread_create(&worker->thread, name, serve_ring, worker);
	}
	if (ret)
		worker_cleanup(worker);
	return ret;
}

static void inprocess_stop_ring(struct datapath *datapath, unsigned int index,
				struct ring_state *state)
{
	struct ring_worker *worker = &((struct inprocess *)datapath)->workers[index];

	atomic_store_explicit(&worker->stopping, true, memory_order_release);
	fd_eventfd_signal(worker->stop_fd);
	pthread_join(worker->thread, NULL);
	if (index % 2 == 0 && worker->window->n_chains)
		/* Buffers that no packet came for are the next datapath's. */
		ring_rewind(&worker->ring,
			    worker->window->chains[worker->window->first_chain].position);
	*state = worker->ring.state;
	worker_cleanup(worker);
}

static uint64_t inprocess_features(const struct datapath *datapath)
{
	const struct inprocess *dp = (const struct inprocess *)datapath;

	return dp->backend->ops->features(dp->backend) | 1ULL << VIRTIO_NET_F_MRG_RXBUF |
	       1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX |
	       1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_IN_ORDER;
}

static int inprocess_set_features(struct datapath *datapath, uint64_t features)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	dp->features = features;
	return dp->backend->ops->set_features(dp->backend, features);
}

static void inprocess_destroy(struct datapath *datapath)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	dp->backend->ops->destroy(dp->backend);
	free(dp->workers);
	free(dp);
}

static const struct datapath_ops inprocess_ops = {
	.features = inprocess_features,
	.set_features = inprocess_set_features,
	.start_ring = inprocess_start_ring,
	.stop_ring = inprocess_stop_ring,
	.destroy = inprocess_destroy,
};

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
	dp->n_workers = n;
	for (unsigned int i = 0; i < n; i++) {
		workers[i].dp = dp;
		workers[i].index = i;
		workers[i].stop_fd = workers[i].epoll_fd = -1;
	}
	return &dp->datapath;
}
