/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_window.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/iov.h"

enum {
	MIN_IOVS = 512, /* buffers of small rings may be in pieces, too */
	/* Chains that were used before the rest is moved to the front again. */
	SPARE_CHAINS = 64,
	/*
	 * Each piece that the kernel is offered costs it time. So they are enough for a packet as
	 * large as those that came lately; what a larger one has more is copied once, and then
	 * expected. Less is not: see net_window_begin().
	 */
	EXPECTED_MIN = 1024,
	EXPECTED_DECAY = 64, /* packets */
};

struct net_window *net_window_create(unsigned int ring_size, const struct net_window_format *format)
{
	struct net_window *window = malloc(sizeof(*window));

	if (!window)
		return NULL;
	/* All but the overflow, which stays untouched. */
	memset(window, 0, offsetof(struct net_window, overflow));
	window->format = format;
	window->expected = EXPECTED_MIN;
	window->max_chains = ring_size + SPARE_CHAINS;
	/*
	 * One chain, which has at most as many pieces as the ring has descriptors, always finds
	 * room; where all are like that, many don't.
	 */
	window->max_iovs = 2 * ring_size < MIN_IOVS ? MIN_IOVS : 2 * ring_size;
	window->chains = malloc(window->max_chains * sizeof(window->chains[0]));
	window->iovs = malloc((window->max_iovs + 1UL) * sizeof(window->iovs[0]));
	if (!window->chains || !window->iovs) {
		net_window_destroy(window);
		return NULL;
	}
	return window;
}

void net_window_destroy(struct net_window *window)
{
	if (!window)
		return;
	free(window->chains);
	free(window->iovs);
	free(window);
}

static struct iovec *first_iov(const struct net_window *window)
{
	return window->iovs + window->first_iov;
}

static void move_to_front(struct net_window *window)
{
	memmove(window->iovs, first_iov(window), window->n_iovs * sizeof(window->iovs[0]));
	memmove(window->chains, window->chains + window->first_chain,
		window->n_chains * sizeof(window->chains[0]));
	window->first_iov = window->first_chain = 0;
}

/* Take the next chain, as ring_pop(). */
static int take(struct net_window *window, struct ring *ring)
{
	for (;;) {
		unsigned int iovs = window->first_iov + window->n_iovs;
		int ret = -ENOBUFS;

		if (window->first_chain + window->n_chains < window->max_chains)
			ret = ring_pop(ring,
				       &window->chains[window->first_chain + window->n_chains],
				       window->iovs + iovs, window->max_iovs - iovs);
		if (ret != -ENOBUFS || !window->first_chain)
			return ret;
		move_to_front(window);
	}
}

int net_window_fill(struct net_window *window, struct ring *ring)
{
	window->full = false;
	while (window->capacity < NET_PACKET_MAX) {
		const struct ring_chain *chain;
		int ret = -ENOBUFS;

		if (window->n_chains < ring->state.size)
			ret = take(window, ring);
		window->full = ret == -ENOBUFS;
		if (window->full)
			return 0;
		if (ret <= 0)
			return ret;
		chain = &window->chains[window->first_chain + window->n_chains];
		if (chain->n_out || chain->in_len < window->format->header_size) {
			ring->broken = "a receive buffer is readable or too small";
			return -EPROTO;
		}
		window->n_chains++;
		window->n_iovs += chain->n_in;
		window->capacity += chain->in_len;
	}
	return 0;
}

struct iovec *net_window_begin(struct net_window *window, unsigned int *n)
{
	struct iovec *iovs = first_iov(window);
	unsigned int last = 0;

	window->offered = 0;
	while (last < window->n_iovs && last < IOV_MAX - 1 && window->offered < window->expected)
		window->offered += iovs[last++].iov_len;
	if (last < window->n_iovs)
		window->displaced = iovs[last];
	iovs[last] = (struct iovec){window->overflow, sizeof(window->overflow)};
	window->overflow_at = last;
	*n = last + 1;
	return iovs;
}

/* A packet of @len bytes has come. */
static void expect(struct net_window *window, size_t len)
{
	if (len > window->expected)
		window->expected = len;
	else
		window->expected -= (window->expected - len) / EXPECTED_DECAY;
	if (window->expected < EXPECTED_MIN)
		window->expected = EXPECTED_MIN;
}

size_t net_window_end(struct net_window *window, size_t len)
{
	if (window->overflow_at < window->n_iovs)
		first_iov(window)[window->overflow_at] = window->displaced;
	if (len)
		expect(window, len);
	return len < window->offered ? len : window->offered;
}

/* How many of the waiting chains a packet of @len bytes takes; 0 if they can't hold it. */
static unsigned int chains_for(const struct net_window *window, size_t len)
{
	unsigned int limit = window->format->merge ? window->n_chains : 1;
	size_t room = 0;

	for (unsigned int n = 0; n < limit && n < window->n_chains; n++) {
		room += window->chains[window->first_chain + n].in_len;
		if (room >= len)
			return n + 1;
	}
	return 0;
}

/* Return the first @n chains with a packet of @len bytes in them. */
static void deliver(struct net_window *window, struct ring *ring, unsigned int n, size_t len)
{
	struct iovec *iovs = first_iov(window);
	uint16_t num_buffers = htole16((uint16_t)n);

	iov_scatter(iovs, offsetof(struct virtio_net_hdr_v1, num_buffers), &num_buffers,
		    sizeof(num_buffers));
	if (!window->format->csum)
		/* 5.1.6.4.1: no flags then; a tap says DATA_VALID all the same. */
		iov_scatter(iovs, offsetof(struct virtio_net_hdr_v1, flags), &(uint8_t){0}, 1);
	for (unsigned int i = 0; i < n; i++) {
		const struct ring_chain *chain = &window->chains[window->first_chain++];
		size_t written = len < chain->in_len ? len : chain->in_len;

		ring_push(ring, chain, (uint32_t)written);
		len -= written;
		window->n_chains--;
		window->first_iov += chain->n_in;
		window->n_iovs -= chain->n_in;
		window->capacity -= chain->in_len;
	}
	if (!window->n_chains)
		window->first_chain = window->first_iov = 0;
}

/* The packet is in the window up to @direct, and the rest of it at @rest. */
static bool complete(struct net_window *window, struct ring *ring, size_t len, size_t direct,
		     const uint8_t *rest)
{
	unsigned int n = chains_for(window, len);

	if (!n)
		return false;
	iov_scatter(first_iov(window), direct, rest, len - direct);
	deliver(window, ring, n, len);
	return true;
}

void net_window_place(struct net_window *window, struct ring *ring, size_t len, size_t direct)
{
	if (complete(window, ring, len, direct, window->overflow))
		return;
	if (!window->format->merge || window->full)
		return; /* There is no more room to come: the packet is lost. */
	/* All in one place, since the window moves. */
	memmove(window->overflow + direct, window->overflow, len - direct);
	iov_gather(window->overflow, first_iov(window), 0, direct);
	window->pending = len;
}

void net_window_place_pending(struct net_window *window, struct ring *ring)
{
	size_t len = window->pending;

	window->pending = 0;
	net_window_place(window, ring, len, 0);
}

bool net_window_put(struct net_window *window, struct ring *ring, const uint8_t *packet, size_t len)
{
	return complete(window, ring, len, 0, packet);
}

void net_window_rewind(struct net_window *window, struct ring *ring)
{
	if (window->n_chains)
		ring_rewind(ring, window->chains[window->first_chain].position);
}
