/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_inprocess.h"

#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/defs.h"
#include "virtio/inprocess_ring.h"
#include "virtio/net_backend.h"
#include "virtio/net_features.h"
#include "virtio/rarp.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"

#define FEATURE(name) (1ULL << (name))

static bool accepted(const struct inprocess *dp, unsigned int feature)
{
	return dp->features >> feature & 1;
}

/* --- making a ring ready --- */

static void worker_cleanup(struct ring_worker *worker)
{
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

	if (inprocess_receives(worker)) {
		worker->window = net_window_create(size, &dp->format);
		if (!worker->window)
			return -ENOMEM;
	} else {
		worker->iovs = malloc(size * sizeof(worker->iovs[0]));
		if (!worker->iovs)
			return -ENOMEM;
	}
	if (inprocess_receives(worker) ? dp->queue_pairs > 1 : size >= IOV_MAX) {
		worker->packet = malloc(NET_PACKET_MAX + 1);
		if (!worker->packet)
			return -ENOMEM;
	}
	return 0;
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
	forget_kept(worker);
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
	struct ring_worker *worker = inprocess_receiver(dp, pair);

	if (worker->window)
		worker->window->pending = 0;
	forget_kept(worker);
}

/* --- counters --- */

/* The eventfd has counted them; the thread, which may wait for one, has to look for itself then. */
static void count_kicks(struct ring_worker *worker)
{
	unsigned long long n = fd_eventfd_drain(worker->wires.kick_fd);

	queue_count(&worker->stats, QUEUE_KICKS, n);
	if (n)
		inprocess_pair_wake(worker);
}

static const struct queue_stats *inprocess_stats(struct datapath *datapath, unsigned int index)
{
	struct ring_worker *worker = &((struct inprocess *)datapath)->workers[index];

	if (worker->running)
		count_kicks(worker);
	return &worker->stats;
}

/* --- rings --- */

static int inprocess_start_ring(struct datapath *datapath, unsigned int index,
				const struct ring_state *state, const struct datapath_wires *wires)
{
	struct inprocess *dp = (struct inprocess *)datapath;
	struct ring_worker *worker = &dp->workers[index];
	int ret;

	worker->wires = *wires;
	worker->told = false;
	worker->kicks = true; /* as a ring begins */
	/* A ring that is wrong from the start breaks when its thread first takes a chain. */
	ring_start(&worker->ring, dp->mem, state, dp->features);
	ret = allocate(worker, state->size);
	if (!ret) {
		if (inprocess_receives(worker))
			restore_pending(worker);
		ret = inprocess_pair_start(worker);
	}
	if (ret)
		worker_cleanup(worker);
	return ret;
}

static void inprocess_stop_ring(struct datapath *datapath, unsigned int index,
				struct ring_state *state)
{
	struct ring_worker *worker = &((struct inprocess *)datapath)->workers[index];

	inprocess_pair_stop(worker);
	inprocess_ring_finish(worker);
	count_kicks(worker);
	if (inprocess_receives(worker)) {
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
			    FEATURE(VIRTIO_F_IN_ORDER) | FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
			    FEATURE(VIRTIO_NET_F_NOTF_COAL) | FEATURE(VIRTIO_NET_F_VQ_NOTF_COAL) |
			    FEATURE(VIRTIO_NET_F_RSS);

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

	/* Rings are the driver's, whatever the backend says. */
	dp->features = features;
	dp->on = features;
	dp->link_up = true;
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
	dp->within_mtu = accepted(dp, VIRTIO_NET_F_MTU)
				 ? dp->format.header_size + ETH_HLEN + dp->mtu
				 : SIZE_MAX;
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		dp->workers[i].coalescing = (struct coalescing){0};
	for (unsigned int pair = 0; pair < dp->queue_pairs; pair++)
		forget_pending(dp, pair);
	return dp->backend->ops->set_features(dp->backend, features);
}

/* Between these two no thread handles a packet; after them each looks at what has changed. */
static void settings_begin(struct inprocess *dp)
{
	for (unsigned int i = 0; i < dp->queue_pairs; i++)
		pthread_rwlock_wrlock(&dp->pairs[i].settings);
}

static void settings_end(struct inprocess *dp)
{
	for (unsigned int i = 0; i < dp->queue_pairs; i++)
		pthread_rwlock_unlock(&dp->pairs[i].settings);
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++)
		inprocess_pair_wake(&dp->workers[i]);
}

static int inprocess_set_link(struct datapath *datapath, bool up)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	settings_begin(dp);
	dp->link_up = up;
	for (unsigned int pair = 0; !up && pair < dp->queue_pairs; pair++)
		forget_pending(dp, pair);
	settings_end(dp);
	return 0;
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
	uint64_t on = dp->features & (features | ~net_features_guest_offloads);
	int ret;

	settings_begin(dp);
	ret = dp->backend->ops->set_features(dp->backend, on);
	if (!ret) {
		dp->format.csum = on & FEATURE(VIRTIO_NET_F_GUEST_CSUM);
		/* What waits may need an offload that is off now. */
		for (unsigned int pair = 0; dp->on & ~on && pair < dp->queue_pairs; pair++)
			forget_pending(dp, pair);
		dp->on = on;
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

static int inprocess_announce(struct datapath *datapath, const uint8_t mac[6])
{
	const struct inprocess *dp = (const struct inprocess *)datapath;

	return rarp_send(dp->backend, dp->format.header_size, mac);
}

static bool inprocess_empty(struct datapath *datapath)
{
	const struct inprocess *dp = (const struct inprocess *)datapath;
	bool empty = true;

	/* It is the receiving thread's, which holds its settings while it works. */
	settings_begin((struct inprocess *)datapath);
	for (unsigned int pair = 0; pair < dp->queue_pairs; pair++) {
		const struct ring_worker *worker = inprocess_receiver(dp, pair);

		empty = empty && !worker->kept_len && !(worker->window && worker->window->pending);
	}
	settings_end((struct inprocess *)datapath);
	return empty;
}

static void inprocess_destroy(struct datapath *datapath)
{
	struct inprocess *dp = (struct inprocess *)datapath;

	net_backend_release(dp->backend);
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++) {
		forget_kept(&dp->workers[i]);
		pthread_mutex_destroy(&dp->workers[i].lock);
	}
	for (unsigned int i = 0; i < dp->queue_pairs; i++)
		inprocess_pair_destroy(&dp->pairs[i]);
	free(dp->pairs);
	free(dp->workers);
	free(dp);
}

static const struct datapath_ops inprocess_ops = {
	.features = inprocess_features,
	.max_queue_pairs = inprocess_max_queue_pairs,
	.set_features = inprocess_set_features,
	.start_ring = inprocess_start_ring,
	.stop_ring = inprocess_stop_ring,
	.set_link = inprocess_set_link,
	.set_filter = inprocess_set_filter,
	.set_queue_pairs = inprocess_set_queue_pairs,
	.set_rss = inprocess_set_rss,
	.set_offloads = inprocess_set_offloads,
	.set_coalescing = inprocess_set_coalescing,
	.announce = inprocess_announce,
	.empty = inprocess_empty,
	.stats = inprocess_stats,
	.destroy = inprocess_destroy,
};

static void worker_init(struct ring_worker *worker, struct inprocess *dp, unsigned int index)
{
	worker->dp = dp;
	worker->pair = &dp->pairs[index / 2];
	worker->index = index;
	pthread_mutex_init(&worker->lock, NULL);
}

struct datapath *inprocess_create(const struct inprocess_config *config)
{
	unsigned int n = 2 * config->queue_pairs;
	struct inprocess *dp = calloc(1, sizeof(*dp));
	struct ring_worker *workers = calloc(n, sizeof(*workers));
	struct inprocess_pair *pairs = calloc(config->queue_pairs, sizeof(*pairs));

	if (!dp || !workers || !pairs) {
		free(dp);
		free(workers);
		free(pairs);
		net_backend_release(config->backend);
		return NULL;
	}
	dp->datapath.ops = &inprocess_ops;
	dp->datapath.kind = "in-process";
	snprintf(dp->name, sizeof(dp->name), "%s", config->name);
	dp->mem = config->mem;
	dp->mtu = config->mtu;
	dp->backend = config->backend;
	dp->thread_filters = config->thread_filters;
	dp->backend_gone = config->backend_gone;
	dp->opaque = config->opaque;
	dp->workers = workers;
	dp->pairs = pairs;
	dp->queue_pairs = config->queue_pairs;
	dp->receiving = 1;
	for (unsigned int i = 0; i < n; i++)
		worker_init(&workers[i], dp, i);
	for (unsigned int i = 0; i < config->queue_pairs; i++)
		inprocess_pair_init(&pairs[i], dp, i);
	return &dp->datapath;
}
