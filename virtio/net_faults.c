/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "virtio/defs.h"
#include "virtio/net_backend.h"
#include "virtio/net_window.h"
#include "virtio/pcg32.h"
#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"

enum {
	BATCH = 64, /* packets of one wire, before the next one has its turn */
	EVENTS_MAX = 16,
	DEFAULT_BURST_MS = 10,
	BITS_PER_BYTE = 8,
	NS_PER_S = 1000000000,
	NS_PER_US = 1000,
};

/* Which descriptor an event is of: the pair's number, shifted, and one of these; or the wake-up. */
enum {
	EVENT_OURS,
	EVENT_INNER,
	EVENT_WAKE,
	EVENT_SHIFT = 2,
};

#define FEATURE(name) (1ULL << (name))

#define OFFLOADS                                                               \
	(FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_HOST_TSO4) |        \
	 FEATURE(VIRTIO_NET_F_HOST_TSO6) | FEATURE(VIRTIO_NET_F_HOST_ECN) |    \
	 FEATURE(VIRTIO_NET_F_HOST_UFO) | FEATURE(VIRTIO_NET_F_HOST_USO) |     \
	 FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) | \
	 FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(VIRTIO_NET_F_GUEST_ECN) |  \
	 FEATURE(VIRTIO_NET_F_GUEST_UFO) | FEATURE(VIRTIO_NET_F_GUEST_USO4) |  \
	 FEATURE(VIRTIO_NET_F_GUEST_USO6))

const uint64_t net_faults_without = OFFLOADS;

struct packet {
	uint64_t due; /* in ns of CLOCK_MONOTONIC */
	size_t len;
	uint8_t bytes[]; /* the header first */
};

/*
 * A token bucket, seen as the time that it takes to fill it: no tokens to be added, nothing to be
 * rounded but the cost of a packet, upwards.
 */
struct bucket {
	uint64_t per_second; /* 0: no limit */
	uint64_t depth;	     /* ns that an empty one takes to be full */
	uint64_t full_at;    /* ns */
};

/* One direction of a queue pair; the thread's, but for the counters. */
struct wire {
	struct pcg32 pcg;
	struct bucket bits, packets;
	struct packet *waiting[NET_FAULTS_QUEUE]; /* owned; by when they are due */
	unsigned int n_waiting;
	_Atomic uint64_t counters[NET_FAULTS_COUNTERS];
};

struct pair {
	int fds[2]; /* sockets, owned: of the datapath, of the thread */
	bool gone;  /* what is behind has gone for good */
	bool cut;   /* and the datapath knows */
	struct wire wires[NET_FAULTS_DIRECTIONS];
};

struct net_faults {
	struct net_backend backend;
	struct net_backend *inner; /* owned */
	struct net_faults_config config;
	char name[16];

	/* Of who starts and stops the thread. While it is stopped the rest is the holder's. */
	pthread_mutex_t lock;
	pthread_t thread;
	bool wanted, held, running;

	_Atomic bool stopping;
	int wake_fd;  /* eventfd, owned */
	int epoll_fd; /* owned */
	size_t header_size;
	uint8_t packet[NET_PACKET_MAX + 1]; /* in hand */
	struct pair pairs[];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void count(struct wire *wire, enum net_faults_counter counter)
{
	counter_add(&wire->counters[counter], 1);
}

/* --- rates --- */

static uint64_t cost(const struct bucket *bucket, uint64_t units)
{
	return (units * NS_PER_S + bucket->per_second - 1) / bucket->per_second;
}

static struct bucket make_bucket(const struct net_faults_rate *rate)
{
	struct bucket bucket = {.per_second = rate->per_second};

	if (rate->per_second)
		bucket.depth = rate->burst ? cost(&bucket, rate->burst)
					   : (uint64_t)DEFAULT_BURST_MS * NS_PER_US * 1000;
	return bucket;
}

/* From when on there is enough in it. */
static uint64_t bucket_ready(const struct bucket *bucket, uint64_t units)
{
	uint64_t needed, spare;

	if (!bucket->per_second)
		return 0;
	needed = cost(bucket, units);
	spare = needed < bucket->depth ? bucket->depth - needed : 0;
	return bucket->full_at > spare ? bucket->full_at - spare : 0;
}

static void bucket_take(struct bucket *bucket, uint64_t units, uint64_t now)
{
	if (!bucket->per_second)
		return;
	if (bucket->full_at < now)
		bucket->full_at = now;
	bucket->full_at += cost(bucket, units);
}

static uint64_t frame_bits(const struct net_faults *faults, const struct packet *packet)
{
	return (packet->len - faults->header_size) * BITS_PER_BYTE;
}

/* From when on the packet may go. */
static uint64_t ready_at(const struct net_faults *faults, const struct wire *wire,
			 const struct packet *packet)
{
	const uint64_t bits = bucket_ready(&wire->bits, frame_bits(faults, packet));
	const uint64_t packets = bucket_ready(&wire->packets, 1);
	const uint64_t rate = bits > packets ? bits : packets;

	return packet->due > rate ? packet->due : rate;
}

/* --- what happens to a packet --- */

struct verdict {
	bool lost, duplicated, corrupted, reordered;
	uint32_t which_bit, jitter; /* draws */
};

static bool happens(struct wire *wire, uint32_t probability)
{
	return pcg32_next(&wire->pcg) < ((uint64_t)probability << 32) / NET_FAULTS_ALL;
}

/* Each packet draws all numbers, whether they are used or not: so the next one's are the same. */
static struct verdict judge(const struct net_faults_config *config, struct wire *wire)
{
	struct verdict verdict;

	verdict.lost = happens(wire, config->loss);
	verdict.duplicated = happens(wire, config->duplicate);
	verdict.corrupted = happens(wire, config->corrupt);
	verdict.reordered = happens(wire, config->reorder);
	verdict.which_bit = pcg32_next(&wire->pcg);
	verdict.jitter = pcg32_next(&wire->pcg);
	return verdict;
}

/* One bit of the frame; and nobody is to believe that its checksum was looked at. */
static void corrupt(uint8_t *packet, size_t header_size, size_t len, uint32_t draw)
{
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)(void *)packet;
	const uint32_t bit = pcg32_below(draw, (uint32_t)(len - header_size) * BITS_PER_BYTE);

	header->flags = 0;
	packet[header_size + bit / BITS_PER_BYTE] ^= (uint8_t)(1u << bit % BITS_PER_BYTE);
}

static uint64_t delay(const struct net_faults_config *config, const struct verdict *verdict)
{
	const uint32_t jitter_us = (uint32_t)(config->jitter_ns / NS_PER_US);

	if (verdict->reordered)
		return 0;
	return config->delay_ns - config->jitter_ns +
	       (uint64_t)pcg32_below(verdict->jitter, 2 * jitter_us + 1) * NS_PER_US;
}

/* Behind all that are due before it, or at the same time. */
static void enqueue(struct wire *wire, const uint8_t *bytes, size_t len, uint64_t due)
{
	struct packet *packet = NULL;
	unsigned int at = wire->n_waiting;

	if (wire->n_waiting < NET_FAULTS_QUEUE)
		packet = malloc(sizeof(*packet) + len);
	if (!packet) {
		count(wire, NET_FAULTS_DROPPED);
		return;
	}
	packet->due = due;
	packet->len = len;
	memcpy(packet->bytes, bytes, len);
	while (at > 0 && wire->waiting[at - 1]->due > due)
		at--;
	memmove(&wire->waiting[at + 1], &wire->waiting[at],
		(wire->n_waiting - at) * sizeof(struct packet *));
	wire->waiting[at] = packet;
	wire->n_waiting++;
}

static void remove_first(struct wire *wire)
{
	free(wire->waiting[0]);
	wire->n_waiting--;
	memmove(&wire->waiting[0], &wire->waiting[1], wire->n_waiting * sizeof(struct packet *));
}

/* The packet in hand, of @len bytes, goes into the wire. */
static void admit(struct net_faults *faults, struct wire *wire, size_t len, uint64_t now)
{
	const struct verdict verdict = judge(&faults->config, wire);
	const uint64_t due = now + delay(&faults->config, &verdict);

	if (verdict.lost) {
		count(wire, NET_FAULTS_LOST);
		return;
	}
	if (verdict.corrupted && len > faults->header_size) {
		count(wire, NET_FAULTS_CORRUPTED);
		corrupt(faults->packet, faults->header_size, len, verdict.which_bit);
	}
	if (verdict.reordered)
		count(wire, NET_FAULTS_REORDERED);
	enqueue(wire, faults->packet, len, due);
	if (verdict.duplicated) {
		count(wire, NET_FAULTS_DUPLICATED);
		enqueue(wire, faults->packet, len, due);
	}
}

/* --- the thread --- */

static ssize_t send_to_datapath(const struct pair *pair, const struct packet *packet)
{
	struct iovec iov = {(void *)packet->bytes, packet->len};
	const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t ret = sendmsg(pair->fds[1], &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	return ret < 0 ? -errno : ret;
}

static ssize_t take(struct net_faults *faults, unsigned int index,
		    enum net_faults_direction direction)
{
	struct net_backend *inner = faults->inner;
	const struct iovec iov = {faults->packet, sizeof(faults->packet)};
	ssize_t ret;

	if (direction == NET_FAULTS_RECEIVE)
		return inner->ops->receive(inner, index, &iov, 1);
	ret = readv(faults->pairs[index].fds[1], &iov, 1);
	return ret < 0 ? -errno : ret;
}

static ssize_t give(struct net_faults *faults, unsigned int index,
		    enum net_faults_direction direction, struct packet *packet)
{
	struct net_backend *inner = faults->inner;
	const struct iovec iov = {packet->bytes, packet->len};

	return direction == NET_FAULTS_RECEIVE ? send_to_datapath(&faults->pairs[index], packet)
					       : inner->ops->send(inner, index, &iov, 1);
}

/*
 * Pass on what has had its time. False if there is no room for it; else *@until is when there is
 * more, in ns; 0: nothing waits.
 */
static bool deliver(struct net_faults *faults, unsigned int index,
		    enum net_faults_direction direction, uint64_t now, uint64_t *until)
{
	struct wire *wire = &faults->pairs[index].wires[direction];

	for (*until = 0; wire->n_waiting; remove_first(wire)) {
		struct packet *packet = wire->waiting[0];
		uint64_t ready = ready_at(faults, wire, packet);
		ssize_t ret;

		if (ready > now) {
			*until = ready;
			return true;
		}
		ret = give(faults, index, direction, packet);
		if (ret == -EAGAIN)
			return false;
		bucket_take(&wire->bits, frame_bits(faults, packet), now);
		bucket_take(&wire->packets, 1, now);
		if (ret < 0)
			count(wire, NET_FAULTS_DROPPED);
	}
	return true;
}

/*
 * Move packets through one wire: when there is more to do, in ns; UINT64_MAX: when a descriptor
 * says so. If what is behind has no room nothing more is taken, so that whoever sends waits, too.
 */
static uint64_t pump(struct net_faults *faults, unsigned int index,
		     enum net_faults_direction direction)
{
	struct wire *wire = &faults->pairs[index].wires[direction];
	uint64_t now = now_ns(), until;

	for (int i = 0; i < BATCH; i++) {
		ssize_t len;

		if (!deliver(faults, index, direction, now, &until))
			return UINT64_MAX;
		len = take(faults, index, direction);
		if (len <= 0)
			return until ? until : UINT64_MAX;
		now = now_ns();
		/* Less is none: what is behind has dropped it. */
		if ((size_t)len >= faults->header_size)
			admit(faults, wire, (size_t)len, now);
	}
	return now;
}

/* All that came before its end has passed: now the datapath may know. */
static void cut(struct pair *pair)
{
	if (pair->cut || !pair->gone || pair->wires[NET_FAULTS_RECEIVE].n_waiting)
		return;
	shutdown(pair->fds[1], SHUT_RDWR);
	pair->cut = true;
}

static void await(struct net_faults *faults, uint64_t until)
{
	struct epoll_event events[EVENTS_MAX];
	const uint64_t now = now_ns();
	const uint64_t ns = until > now ? until - now : 0;
	const struct timespec timeout = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};
	int n = epoll_pwait2(faults->epoll_fd, events, EVENTS_MAX,
			     until == UINT64_MAX ? NULL : &timeout, NULL);

	for (int i = 0; i < n; i++) {
		const uint64_t event = events[i].data.u64;

		if (events[i].events & (EPOLLERR | EPOLLHUP) &&
		    event % (1 << EVENT_SHIFT) == EVENT_INNER)
			faults->pairs[event >> EVENT_SHIFT].gone = true;
	}
}

/* All descriptors are edge-triggered: it has to look at each of them before it waits. */
static void *serve(void *arg)
{
	struct net_faults *faults = arg;

	while (!atomic_load_explicit(&faults->stopping, memory_order_acquire)) {
		uint64_t until = UINT64_MAX;

		for (unsigned int i = 0; i < faults->config.queue_pairs; i++) {
			for (int d = 0; d < NET_FAULTS_DIRECTIONS; d++) {
				uint64_t more = pump(faults, i, (enum net_faults_direction)d);

				until = more < until ? more : until;
			}
			cut(&faults->pairs[i]);
		}
		await(faults, until);
	}
	return NULL;
}

/* Under the lock, as what follows. */
static void stop(struct net_faults *faults)
{
	if (!faults->running)
		return;
	atomic_store_explicit(&faults->stopping, true, memory_order_release);
	fd_eventfd_signal(faults->wake_fd);
	pthread_join(faults->thread, NULL);
	faults->running = false;
}

static int start(struct net_faults *faults)
{
	const struct thread_config thread = {faults->name, THREAD_RING,
					     faults->config.thread_filters};
	int ret;

	if (!faults->wanted || faults->held || faults->running)
		return 0;
	atomic_store(&faults->stopping, false);
	ret = thread_create(&faults->thread, &thread, serve, faults);
	faults->running = !ret;
	return ret;
}

/* --- the backend --- */

static uint64_t faults_features(const struct net_backend *backend)
{
	const struct net_backend *inner = ((const struct net_faults *)backend)->inner;

	return inner->ops->features(inner) & ~net_faults_without;
}

static void empty_wire(struct wire *wire)
{
	while (wire->n_waiting)
		remove_first(wire);
}

static void empty_socket(int fd)
{
	uint8_t byte; /* the rest is cut off */

	while (read(fd, &byte, sizeof(byte)) > 0)
		;
}

/* No packet from before reaches the driver on queue @index, while the thread is stopped. */
static void forget_received(struct net_faults *faults, unsigned int index)
{
	empty_wire(&faults->pairs[index].wires[NET_FAULTS_RECEIVE]);
	empty_socket(faults->pairs[index].fds[0]);
}

static int faults_set_features(struct net_backend *backend, uint64_t features)
{
	struct net_faults *faults = (struct net_faults *)backend;
	int ret;

	features &= ~net_faults_without;
	pthread_mutex_lock(&faults->lock);
	stop(faults);
	ret = faults->inner->ops->set_features(faults->inner, features);
	if (!ret) {
		faults->wanted = true;
		faults->header_size = features >> VIRTIO_NET_F_HASH_REPORT & 1
					      ? sizeof(struct virtio_net_hdr_v1_hash)
					      : sizeof(struct virtio_net_hdr_v1);
	}
	/* What was sent has the header of before. */
	for (unsigned int i = 0; !ret && i < faults->config.queue_pairs; i++) {
		forget_received(faults, i);
		empty_wire(&faults->pairs[i].wires[NET_FAULTS_TRANSMIT]);
		empty_socket(faults->pairs[i].fds[1]);
	}
	if (ret)
		start(faults);
	else
		ret = start(faults);
	pthread_mutex_unlock(&faults->lock);
	return ret;
}

static int faults_set_queues(struct net_backend *backend, unsigned int n)
{
	struct net_faults *faults = (struct net_faults *)backend;
	int ret, started;

	pthread_mutex_lock(&faults->lock);
	stop(faults);
	ret = faults->inner->ops->set_queues(faults->inner, n);
	for (unsigned int i = n; !ret && i < faults->config.queue_pairs; i++)
		forget_received(faults, i);
	started = start(faults);
	pthread_mutex_unlock(&faults->lock);
	return ret ? ret : started;
}

static int faults_fd(const struct net_backend *backend, unsigned int queue)
{
	return ((const struct net_faults *)backend)->pairs[queue].fds[0];
}

static ssize_t faults_receive(struct net_backend *backend, unsigned int queue,
			      const struct iovec *iov, unsigned int n)
{
	const struct net_faults *faults = (const struct net_faults *)backend;
	ssize_t ret = readv(faults->pairs[queue].fds[0], iov, (int)n);

	if (ret < 0)
		return -errno;
	return ret ? ret : -EPIPE;
}

static ssize_t faults_send(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			   unsigned int n)
{
	const struct net_faults *faults = (const struct net_faults *)backend;
	const struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t ret = sendmsg(faults->pairs[queue].fds[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	return ret < 0 ? -errno : ret;
}

static void faults_destroy(struct net_backend *backend)
{
	struct net_faults *faults = (struct net_faults *)backend;

	stop(faults);
	for (unsigned int i = 0; i < faults->config.queue_pairs; i++) {
		struct pair *pair = &faults->pairs[i];

		for (int d = 0; d < NET_FAULTS_DIRECTIONS; d++)
			empty_wire(&pair->wires[d]);
		fd_close(&pair->fds[0]);
		fd_close(&pair->fds[1]);
	}
	fd_close(&faults->wake_fd);
	fd_close(&faults->epoll_fd);
	net_backend_release(faults->inner);
	pthread_mutex_destroy(&faults->lock);
	free(faults);
}

static const struct net_backend_ops faults_ops = {
	.features = faults_features,
	.set_features = faults_set_features,
	.set_queues = faults_set_queues,
	.fd = faults_fd,
	.receive = faults_receive,
	.send = faults_send,
	.destroy = faults_destroy,
};

/* --- creation --- */

static int watch(const struct net_faults *faults, int fd, uint64_t event)
{
	struct epoll_event what = {
		.events = EPOLLIN | EPOLLOUT | (uint32_t)EPOLLET,
		.data.u64 = event,
	};

	return epoll_ctl(faults->epoll_fd, EPOLL_CTL_ADD, fd, &what) ? -errno : 0;
}

static int open_pair(struct net_faults *faults, unsigned int index)
{
	struct pair *pair = &faults->pairs[index];
	const struct net_backend *inner = faults->inner;
	int ret = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds))
		ret = -errno;
	if (!ret)
		ret = watch(faults, pair->fds[1], (uint64_t)index << EVENT_SHIFT | EVENT_OURS);
	if (!ret)
		ret = watch(faults, inner->ops->fd(inner, index),
			    (uint64_t)index << EVENT_SHIFT | EVENT_INNER);
	return ret;
}

static int open_all(struct net_faults *faults)
{
	int ret = faults->wake_fd = fd_eventfd();

	if (ret < 0)
		return ret;
	faults->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (faults->epoll_fd < 0)
		return -errno;
	ret = watch(faults, faults->wake_fd, EVENT_WAKE);
	for (unsigned int i = 0; !ret && i < faults->config.queue_pairs; i++)
		ret = open_pair(faults, i);
	return ret;
}

static void init_pair(struct net_faults *faults, unsigned int index)
{
	const struct net_faults_config *config = &faults->config;
	struct pair *pair = &faults->pairs[index];

	pair->fds[0] = pair->fds[1] = -1;
	for (unsigned int d = 0; d < NET_FAULTS_DIRECTIONS; d++) {
		struct wire *wire = &pair->wires[d];

		wire->pcg = pcg32_seed(config->seed, index * NET_FAULTS_DIRECTIONS + d);
		wire->bits = make_bucket(&config->bits);
		wire->packets = make_bucket(&config->packets);
	}
}

int net_faults_create(const struct net_faults_config *config, struct net_backend *inner,
		      struct net_backend **backend, struct error *err)
{
	struct net_faults *faults =
		calloc(1, sizeof(*faults) + config->queue_pairs * sizeof(faults->pairs[0]));
	int ret;

	*backend = NULL;
	if (!faults) {
		net_backend_release(inner);
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	}
	faults->backend.ops = &faults_ops;
	faults->inner = inner;
	faults->config = *config;
	faults->config.name = NULL;
	snprintf(faults->name, sizeof(faults->name), "%.8s-faults", config->name);
	pthread_mutex_init(&faults->lock, NULL);
	faults->wake_fd = faults->epoll_fd = -1;
	faults->header_size = sizeof(struct virtio_net_hdr_v1);
	for (unsigned int i = 0; i < config->queue_pairs; i++)
		init_pair(faults, i);
	ret = open_all(faults);
	if (ret) {
		error_code(err, ret, "%s: faults", config->name);
		faults_destroy(&faults->backend);
		return ret;
	}
	*backend = &faults->backend;
	return 0;
}

int net_faults_hold(struct net_backend *backend, bool hold)
{
	struct net_faults *faults = (struct net_faults *)backend;
	int ret = 0;

	pthread_mutex_lock(&faults->lock);
	faults->held = hold;
	if (hold)
		stop(faults);
	else
		ret = start(faults);
	pthread_mutex_unlock(&faults->lock);
	return ret;
}

void net_faults_count(const struct net_backend *backend, enum net_faults_direction direction,
		      uint64_t counters[NET_FAULTS_COUNTERS])
{
	const struct net_faults *faults = (const struct net_faults *)backend;

	memset(counters, 0, NET_FAULTS_COUNTERS * sizeof(counters[0]));
	for (unsigned int i = 0; i < faults->config.queue_pairs; i++) {
		const struct wire *wire = &faults->pairs[i].wires[direction];

		for (int c = 0; c < NET_FAULTS_COUNTERS; c++)
			counters[c] += atomic_load_explicit(&wire->counters[c],
							    memory_order_relaxed);
	}
}
