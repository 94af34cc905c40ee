/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a pair of rings: what it waits for. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "virtio/inprocess_ring.h"
#include "virtio/net_backend.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"

enum {
	NS_PER_S = 1000000000,
	RECEIVE = 0, /* of a pair's rings */
	TRANSMIT = 1,
};

/* What an event is of. */
enum {
	RECEIVE_KICK = RECEIVE,
	TRANSMIT_KICK = TRANSMIT,
	WAKE,
	BACKEND,
	N_EVENTS,
};

/* A packet has come; there is room for one. */
static const uint32_t backend_events[] = {[RECEIVE] = EPOLLIN, [TRANSMIT] = EPOLLOUT};

uint64_t inprocess_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int backend_fd(const struct inprocess_pair *pair)
{
	const struct net_backend *backend = pair->dp->backend;

	return backend->ops->fd(backend, pair->rings->index / 2);
}

/* --- waiting --- */

/* Until when to sleep, as a ring's until; @awaited: for what of the backend. */
struct plan {
	bool ready; /* not at all */
	uint64_t until;
	uint32_t awaited;
};

/* While the settings are held. */
static struct plan make_plan(const struct inprocess_pair *pair)
{
	struct plan plan = {0};

	for (int i = RECEIVE; i <= TRANSMIT; i++) {
		const struct ring_worker *ring = &pair->rings[i];

		if (!ring->running)
			continue;
		plan.ready |= ring->ready;
		if (ring->awaits_backend)
			plan.awaited |= backend_events[i];
		if (ring->until && (!plan.until || ring->until < plan.until))
			plan.until = ring->until;
	}
	return plan;
}

/*
 * Have a packet, or room for one, end the sleep only if that is what is missing: without a buffer
 * for them a stream of packets would wake the thread for each. That the backend has gone some tell
 * only who waits for either: listen_without_buffers() in inprocess_ring.c.
 */
static void await_of_backend(struct inprocess_pair *pair, uint32_t awaited)
{
	struct epoll_event event = {.events = awaited | EPOLLET, .data.u32 = BACKEND};

	if (pair->awaited == awaited)
		return;
	pair->awaited = awaited;
	epoll_ctl(pair->epoll_fd, EPOLL_CTL_MOD, backend_fd(pair), &event);
}

/*
 * Sleep as planned. How many @events there are, 0 or less: none.
 *
 * All are edge-triggered: there is no need to read an eventfd, and an event that came while we
 * worked makes this return at once.
 */
static int await(struct inprocess_pair *pair, const struct plan *plan, struct epoll_event *events)
{
	struct timespec timeout;
	uint64_t now;

	if (plan->ready) {
		/* One ring's work doesn't make the other deaf; what that hears in vain is cheap. */
		await_of_backend(pair, plan->awaited | pair->awaited);
		return epoll_wait(pair->epoll_fd, events, N_EVENTS, 0);
	}
	await_of_backend(pair, plan->awaited);
	if (!plan->until)
		return epoll_wait(pair->epoll_fd, events, N_EVENTS, -1);
	now = inprocess_now_ns();
	if (now >= plan->until)
		return 0;
	timeout.tv_sec = (time_t)((plan->until - now) / NS_PER_S);
	timeout.tv_nsec = (long)((plan->until - now) % NS_PER_S);
	return epoll_pwait2(pair->epoll_fd, events, N_EVENTS, &timeout, NULL);
}

static void tell_gone(const struct inprocess *dp, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == BACKEND && events[i].events & (EPOLLERR | EPOLLHUP) &&
		    dp->backend_gone)
			dp->backend_gone(dp->opaque);
	}
}

/* --- serving --- */

/* Whether @ring, by its index in the pair, may have something to do after @event. */
static bool concerns(const struct inprocess_pair *pair, int ring, const struct epoll_event *event)
{
	uint32_t events = EPOLLERR | EPOLLHUP;

	if (event->data.u32 != BACKEND)
		return event->data.u32 == WAKE || event->data.u32 == (uint32_t)ring;
	if (pair->rings[ring].awaits_backend)
		events |= backend_events[ring];
	return event->events & events;
}

/* While the settings are held: which rings need not wait any more. */
static void wake_rings(struct inprocess_pair *pair, const struct epoll_event *events, int n)
{
	for (int i = RECEIVE; i <= TRANSMIT; i++) {
		struct ring_worker *ring = &pair->rings[i];

		if (!ring->running)
			continue;
		if (ring->until && !ring->ready)
			ring->ready = inprocess_now_ns() >= ring->until;
		for (int j = 0; j < n; j++)
			ring->ready |= concerns(pair, i, &events[j]);
	}
}

static void *serve(void *arg)
{
	struct inprocess_pair *pair = arg;
	struct epoll_event events[N_EVENTS];
	int n = 0;

	while (!atomic_load_explicit(&pair->stopping, memory_order_acquire)) {
		struct plan plan;

		pthread_rwlock_rdlock(&pair->settings);
		wake_rings(pair, events, n);
		for (int i = RECEIVE; i <= TRANSMIT; i++) {
			if (pair->rings[i].running && pair->rings[i].ready)
				inprocess_ring_serve(&pair->rings[i]);
		}
		plan = make_plan(pair);
		pthread_rwlock_unlock(&pair->settings);
		n = await(pair, &plan, events);
		tell_gone(pair->dp, events, n);
	}
	return NULL;
}

/* --- starting and stopping --- */

static int watch(const struct inprocess_pair *pair, int fd, uint32_t what, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.u32 = what};

	return epoll_ctl(pair->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void close_all(struct inprocess_pair *pair)
{
	fd_close(&pair->wake_fd);
	fd_close(&pair->epoll_fd);
}

static int open_all(struct inprocess_pair *pair)
{
	int ret;

	pair->wake_fd = fd_eventfd();
	if (pair->wake_fd < 0)
		return pair->wake_fd;
	pair->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pair->epoll_fd < 0)
		return -errno;
	pair->awaited = 0;
	ret = watch(pair, pair->wake_fd, WAKE, EPOLLIN);
	return ret ? ret : watch(pair, backend_fd(pair), BACKEND, 0);
}

static int start_thread(struct inprocess_pair *pair)
{
	char name[16];
	const struct thread_config config = {name, THREAD_RING, pair->dp->thread_filters};

	snprintf(name, sizeof(name), "%s-q%u", pair->dp->name, (pair->rings->index / 2) & 0xff);
	atomic_store(&pair->stopping, false);
	return thread_create(&pair->thread, &config, serve, pair);
}

/* From when it does not run no other thread steers packets to it. */
static void set_running(struct ring_worker *worker, bool running)
{
	pthread_rwlock_wrlock(&worker->pair->settings);
	pthread_mutex_lock(&worker->lock);
	worker->running = running;
	worker->ready = running;
	worker->until = worker->held_until = 0;
	worker->awaits_backend = worker->listens = worker->naps = false;
	pthread_mutex_unlock(&worker->lock);
	pthread_rwlock_unlock(&worker->pair->settings);
}

int inprocess_pair_start(struct ring_worker *worker)
{
	struct inprocess_pair *pair = worker->pair;
	int ret = pair->n_running ? 0 : open_all(pair);

	if (!ret)
		ret = watch(pair, worker->wires.kick_fd, worker->index % 2, EPOLLIN);
	if (!ret) {
		set_running(worker, true);
		if (pair->n_running)
			inprocess_pair_wake(worker);
		else
			ret = start_thread(pair);
	}
	if (!ret) {
		pair->n_running++;
		return 0;
	}
	set_running(worker, false);
	if (!pair->n_running)
		close_all(pair);
	return ret;
}

void inprocess_pair_stop(struct ring_worker *worker)
{
	struct inprocess_pair *pair = worker->pair;

	set_running(worker, false);
	epoll_ctl(pair->epoll_fd, EPOLL_CTL_DEL, worker->wires.kick_fd, NULL);
	if (--pair->n_running)
		return;
	atomic_store_explicit(&pair->stopping, true, memory_order_release);
	fd_eventfd_signal(pair->wake_fd);
	pthread_join(pair->thread, NULL);
	close_all(pair);
}

void inprocess_pair_wake(struct ring_worker *worker)
{
	if (worker->running)
		fd_eventfd_signal(worker->pair->wake_fd);
}

void inprocess_pair_init(struct inprocess_pair *pair, struct inprocess *dp, unsigned int index)
{
	pthread_rwlockattr_t attr;

	pair->dp = dp;
	pair->rings = &dp->workers[2UL * index];
	pair->wake_fd = pair->epoll_fd = -1;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&pair->settings, &attr);
	pthread_rwlockattr_destroy(&attr);
}

void inprocess_pair_destroy(struct inprocess_pair *pair)
{
	pthread_rwlock_destroy(&pair->settings);
}
