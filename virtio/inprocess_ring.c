/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/inprocess_ring.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "virtio/iov.h"
#include "virtio/net_backend.h"
#include "vmm/core/counter.h"
#include "vmm/core/fd.h"

enum {
	/*
	 * After so many packets, or used buffers, these are published, and changed settings have
	 * their chance.
	 */
	BATCH = 64,
	GIVE_WAY_BYTES = 64 << 10, /* sent, and the other ring has its turn */
	/* An interrupt that costs an exit waits so long for its driver to go on by itself, */
	HOLD_NS = 100000,
	HOLD_PART = 4,	       /* for no more than such a part of the ring, */
	HOLD_BYTES = 32 << 10, /* nor for packets that may be all that can be on their way. */
	VLAN_TAG = 4,	       /* bytes */
	NS_PER_US = 1000,
	/* A stream: so many packets in so short a time, and hardly any the other way. */
	STREAM_PACKETS = 4,
	STREAM_IN_NS = 100000,
	STREAM_OUT_NS = 500000, /* of packets that may cost the driver an exit each */
	STREAM_ONE_WAY = 4,
	NAP_NS = 50000, /* about twice that with the kernel's timer slack */
	LISTEN_AGAIN_NS = 1000000000,
};

/* Why there is nothing more to do. */
enum progress {
	BROKEN = -1,
	UNFINISHED,
	GIVES_WAY,     /* unfinished, too */
	NEEDS_DRIVER,  /* it must make more chains available */
	NEEDS_BACKEND, /* a packet, or room for one; or other settings */
};

static void count(struct ring_worker *worker, enum queue_counter counter)
{
	queue_count(&worker->stats, counter, 1);
}

/* Before others can know of the packet: what they do about it is not to be told first. */
static void tell_first(struct ring_worker *worker)
{
	const struct datapath_events *events = &worker->dp->datapath.events;

	if (worker->moved)
		return;
	worker->moved = true;
	if (events->first_packet)
		events->first_packet(events->opaque, worker->index);
}

/* A packet of @len bytes, header included, has passed. */
static void count_passed(struct ring_worker *worker, size_t len)
{
	count(worker, QUEUE_PACKETS);
	queue_count(&worker->stats, QUEUE_BYTES, len - worker->dp->format.header_size);
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
	count(worker, QUEUE_INTERRUPTS);
	if (worker->wires.interrupt_status)
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
		now = inprocess_now_ns();
		if (!coalescing->since)
			coalescing->since = now;
		if (now < interrupt_due(coalescing))
			return false;
	}
	coalescing->packets = 0;
	coalescing->since = 0;
	return true;
}

/* Let the driver see what was pushed. */
static void show(struct ring_worker *worker)
{
	if (worker->ring.pushed)
		atomic_store_explicit(&worker->stats.progress_ms, counter_now_ms(),
				      memory_order_relaxed);
	ring_show(&worker->ring);
}

/* The same: whether it is to be interrupted for that. */
static bool settle(struct ring_worker *worker)
{
	bool wanted;

	show(worker);
	if (!worker->ring.unsettled)
		return false;
	wanted = ring_publish(&worker->ring);
	worker->unsettled_bytes = 0;
	worker->held_until = 0;
	if (!wanted)
		count(worker, QUEUE_SUPPRESSED);
	return wanted;
}

/*
 * The same, but an interrupt that costs an exit (virtio-mmio, INTx: the driver reads a register)
 * waits for a moment: a driver that goes on sending finds by itself what was sent, and then wants
 * none any more. False: it is time to settle it.
 */
static bool hold(struct ring_worker *worker)
{
	const bool more = worker->ring.pushed;
	const struct ring *ring = &worker->ring;
	uint64_t now;

	if (!worker->wires.interrupt_status || worker->coalescing.max_usecs ||
	    worker->coalescing.owed)
		return false;
	show(worker);
	if (ring->unsettled >= BATCH || ring->unsettled >= ring->state.size / HOLD_PART ||
	    worker->unsettled_bytes >= HOLD_BYTES || !ring_wants_interrupt(ring))
		return false;
	now = inprocess_now_ns();
	if (more)
		worker->held_until = now + HOLD_NS;
	return now < worker->held_until;
}

/* The same, and interrupt it if it wants that and it is time. */
static void publish(struct ring_worker *worker)
{
	struct coalescing *coalescing = &worker->coalescing;

	coalescing->owed |= settle(worker);
	if (limit_reached(coalescing) && coalescing->owed) {
		coalescing->owed = false;
		interrupt(worker);
	}
}

void inprocess_ring_finish(struct ring_worker *worker)
{
	struct coalescing *coalescing = &worker->coalescing;

	if (settle(worker) || coalescing->owed)
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

/* --- streams --- */

static uint64_t passed(const struct ring_worker *worker)
{
	return queue_counted(&worker->stats, QUEUE_PACKETS);
}

/* Of the same pair. */
static const struct ring_worker *other_way(const struct ring_worker *worker)
{
	return inprocess_receives(worker) ? worker + 1 : worker - 1;
}

static void begin_window(struct ring_worker *worker, uint64_t now)
{
	worker->window_start.ns = now;
	worker->window_start.passed = passed(worker);
	worker->window_start.bytes = queue_counted(&worker->stats, QUEUE_BYTES);
	worker->window_start.passed_back = passed(other_way(worker));
}

/* Whether packets come fast, and mostly one way. */
static bool streams(struct ring_worker *worker, uint64_t window_ns)
{
	const uint64_t n = passed(worker) - worker->window_start.passed;
	const uint64_t back = passed(other_way(worker)) - worker->window_start.passed_back;
	const uint64_t now = inprocess_now_ns();

	if (now - worker->window_start.ns <= window_ns)
		return n >= STREAM_PACKETS && back <= n / STREAM_ONE_WAY;
	begin_window(worker, now);
	return false;
}

/*
 * The same for a transmit ring, from whose driver all that it can have on its way may come before
 * the thread looks again: then it must be asked for kicks.
 */
static bool streams_out(struct ring_worker *worker, bool napped)
{
	const uint64_t n = passed(worker) - worker->window_start.passed;
	const uint64_t back = passed(other_way(worker)) - worker->window_start.passed_back;
	const uint64_t bytes = queue_counted(&worker->stats, QUEUE_BYTES) -
			       worker->window_start.bytes;
	const bool goes_on = napped ? n && !back : streams(worker, STREAM_OUT_NS);

	return goes_on && n < worker->ring.state.size / HOLD_PART && bytes < HOLD_BYTES;
}

/*
 * A thread that sleeps until the next packet of a stream takes its CPU from who makes them and who
 * uses them, for a packet or two, and costs the sender a wake-up: it had better look for them at
 * intervals. So had it at a transmit ring, whose driver otherwise kicks, and is interrupted, for a
 * packet or two; but where interrupts are held that does as much. What comes as an answer doesn't
 * wait so; nor what is for other rings, of which it doesn't know how many answer.
 */
static bool may_nap(struct ring_worker *worker, enum progress progress, bool napped)
{
	if (worker->dp->steers || interrupt_due(&worker->coalescing))
		return false;
	if (inprocess_receives(worker))
		return streams(worker, STREAM_IN_NS);
	return progress == NEEDS_DRIVER && !worker->wires.interrupt_status &&
	       streams_out(worker, napped);
}

static void take_nap(struct ring_worker *worker)
{
	const uint64_t now = inprocess_now_ns();

	worker->naps = true;
	worker->awaits_backend = false;
	worker->until = now + NAP_NS;
	if (!inprocess_receives(worker))
		begin_window(worker, now);
}

/* --- transmit --- */

/* False if there is no room for the packet. */
static bool send_packet(struct ring_worker *worker, const struct ring_chain *chain)
{
	struct net_backend *backend = worker->dp->backend;
	struct iovec *iovs = worker->iovs;
	unsigned int n = chain->n_out;
	ssize_t sent;

	/* Too short for a header, or refused by the backend: the packet is lost, as on a wire. */
	if (!worker->dp->link_up) {
		count(worker, QUEUE_DROPPED_LINK_DOWN);
		return true;
	}
	if (chain->out_len < worker->dp->format.header_size ||
	    (n >= IOV_MAX && chain->out_len > NET_PACKET_MAX)) {
		count(worker, QUEUE_DROPPED_MALFORMED);
		return true;
	}
	if (n >= IOV_MAX) {
		iov_gather(worker->packet, iovs, 0, chain->out_len);
		iovs[0] = (struct iovec){worker->packet, chain->out_len};
		n = 1;
	}
	tell_first(worker);
	sent = backend->ops->send(backend, worker->index / 2, iovs, n);
	if (sent >= 0)
		count_passed(worker, chain->out_len);
	else if (sent != -EAGAIN)
		count(worker, QUEUE_DROPPED_REFUSED);
	return sent != -EAGAIN;
}

/*
 * Send what is available, up to a batch, or some large packets. These are given back at once, for
 * the driver may have no more on their way; and what answers to them may have come. But they are no
 * reason to interrupt the driver while it has more: it finds them when it sends the next one.
 */
static enum progress transmit(struct ring_worker *worker)
{
	size_t bytes = 0;

	for (int i = 0; i < BATCH; i++) {
		struct ring_chain chain;
		int ret = ring_pop(&worker->ring, &chain, worker->iovs, worker->ring.state.size);

		if (ret <= 0)
			return ret ? BROKEN : NEEDS_DRIVER;
		if (!send_packet(worker, &chain)) {
			ring_rewind(&worker->ring, chain.position);
			return NEEDS_BACKEND;
		}
		ring_push(&worker->ring, &chain, 0);
		bytes += chain.out_len;
		worker->unsettled_bytes += chain.out_len;
		if (count_packet(worker))
			break;
		if (bytes >= GIVE_WAY_BYTES)
			return worker->coalescing.packets < BATCH ? GIVES_WAY : UNFINISHED;
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

/*
 * 5.1.4.1: the driver has agreed on an MTU, and gets no packet that is larger; but one that was
 * not segmented yet may be.
 */
static bool exceeds_mtu(const struct inprocess *dp, const struct iovec *iovs, size_t len)
{
	struct virtio_net_hdr_v1 header;
	uint8_t type[2];

	if (len <= dp->within_mtu)
		return false;
	iov_gather(&header, iovs, 0, sizeof(header));
	if ((header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	/* A VLAN tag belongs to the Ethernet header. */
	iov_gather(type, iovs, dp->format.header_size + offsetof(struct ethhdr, h_proto),
		   sizeof(type));
	return len > dp->within_mtu + VLAN_TAG || type[0] != ETH_P_8021Q >> 8 ||
	       type[1] != (ETH_P_8021Q & 0xff);
}

/* A packet of @len bytes was placed when @pushed chains were in the ring's hands. */
static void count_placed(struct ring_worker *worker, unsigned int pushed, size_t len)
{
	if (worker->ring.pushed != pushed) {
		tell_first(worker);
		count_passed(worker, len);
	} else if (!worker->window->pending) {
		count(worker, QUEUE_DROPPED_NO_BUFFERS);
	}
}

/* The filter may have changed while the packet waited. */
static void place_pending(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;
	struct net_window *window = worker->window;
	const struct iovec packet = {window->overflow, window->pending};
	unsigned int pushed = worker->ring.pushed;

	if (dp->filters && !inspect(dp, &packet, window->pending)) {
		window->pending = 0;
		count(worker, QUEUE_DROPPED_FILTERED);
		return;
	}
	net_window_place_pending(window, &worker->ring);
	count_placed(worker, pushed, packet.iov_len);
}

/* Why the driver doesn't get the packet of @len bytes at @iovs; QUEUE_COUNTERS: it does. */
static enum queue_counter unfit(const struct inprocess *dp, const struct iovec *iovs, size_t len)
{
	if (len < dp->format.header_size || len > NET_PACKET_MAX)
		return QUEUE_DROPPED_MALFORMED;
	return exceeds_mtu(dp, iovs, len) ? QUEUE_DROPPED_MTU : QUEUE_COUNTERS;
}

/* Receive straight into the ring's own buffers, up to a batch. */
static enum progress receive(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;
	struct net_window *window = worker->window;

	for (int i = 0; i < BATCH; i++) {
		enum queue_counter why;
		struct iovec *iovs;
		unsigned int n, pushed;
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
		why = unfit(dp, iovs, (size_t)len);
		if (why == QUEUE_COUNTERS && (dp->filters || dp->reports) &&
		    !inspect(dp, iovs, (size_t)len))
			why = QUEUE_DROPPED_FILTERED;
		if (why != QUEUE_COUNTERS) {
			count(worker, why);
			continue; /* The next one goes into the same buffers. */
		}
		pushed = worker->ring.pushed;
		net_window_place(window, &worker->ring, (size_t)len, direct);
		count_placed(worker, pushed, (size_t)len);
		if (count_packet(worker))
			break;
	}
	return UNFINISHED;
}

/* The link is down: what comes is lost, whether there are buffers for it or not. */
static enum progress discard(struct ring_worker *worker)
{
	struct net_backend *backend = worker->dp->backend;
	struct virtio_net_hdr_v1_hash header; /* no backend needs more room */
	struct iovec iov = {&header, sizeof(header)};

	for (int i = 0; i < BATCH; i++) {
		if (backend->ops->receive(backend, worker->index / 2, &iov, 1) <= 0)
			return NEEDS_BACKEND;
		count(worker, QUEUE_DROPPED_LINK_DOWN);
	}
	return UNFINISHED;
}

/* --- receive-side scaling --- */

static void tell_broken(struct ring_worker *worker)
{
	const struct datapath_events *events = &worker->dp->datapath.events;

	if (worker->told)
		return;
	worker->told = true;
	count(worker, QUEUE_BROKEN);
	events->ring_broken(events->opaque, worker->index, worker->ring.broken);
}

/* Publish to another ring than one's own. */
static void publish_to(struct ring_worker *to)
{
	bool counting = interrupt_due(&to->coalescing);

	publish(to);
	/* Its own thread must see to it that the interrupt isn't forgotten. */
	if (!counting && interrupt_due(&to->coalescing))
		inprocess_pair_wake(to);
}

/* Give the packet to the ring that it is for. If that has no buffers it is lost. */
static void steer_packet(struct ring_worker *to, const uint8_t *packet, size_t len)
{
	enter_ring(to);
	if (to->running && net_window_fill(to->window, &to->ring) == 0 &&
	    net_window_put(to->window, &to->ring, packet, len)) {
		tell_first(to);
		count_passed(to, len);
		if (count_packet(to))
			publish_to(to);
	} else {
		count(to, QUEUE_DROPPED_NO_BUFFERS);
		if (to->running && to->ring.broken)
			tell_broken(to);
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
	enum queue_counter why;
	struct iovec iov = {worker->packet, NET_PACKET_MAX + 1};
	size_t header = dp->format.header_size;
	enum progress progress = UNFINISHED;
	uint64_t given = 0; /* pairs that got packets */

	for (int i = 0; i < BATCH; i++) {
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
		why = unfit(dp, &iov, (size_t)len);
		if (why == QUEUE_COUNTERS && dp->filters &&
		    !net_filter_accepts(&dp->filter, frame, (size_t)len - header))
			why = QUEUE_DROPPED_FILTERED;
		if (why != QUEUE_COUNTERS) {
			count(worker, why);
			continue;
		}
		hash = net_rss_hash(&dp->rss, frame, (size_t)len - header, &report);
		if (dp->reports) {
			fields = hash_fields(hash, report);
			memcpy(worker->packet + sizeof(struct virtio_net_hdr_v1), &fields,
			       sizeof(fields));
		}
		pair = net_rss_queue(&dp->rss, hash, report);
		steer_packet(inprocess_receiver(dp, pair), worker->packet, (size_t)len);
		given |= 1ULL << pair;
	}
	for (unsigned int pair = 0; given; pair++, given >>= 1) {
		struct ring_worker *to = inprocess_receiver(dp, pair);

		if (!(given & 1))
			continue;
		enter_ring(to);
		if (to->running)
			publish_to(to);
		leave_ring(to);
	}
	return progress;
}

/* --- batches --- */

static enum progress work(struct ring_worker *worker)
{
	const struct inprocess *dp = worker->dp;

	if (!inprocess_receives(worker))
		return transmit(worker);
	if (worker->index / 2 >= dp->receiving)
		return NEEDS_BACKEND;
	if (!dp->link_up)
		return discard(worker);
	return dp->steers ? receive_and_steer(worker) : receive(worker);
}

/*
 * What comes while a receive ring has no buffers wakes its thread once, and then once a second:
 * each packet would, in vain, if it always listened; and it would not hear that the backend has
 * gone if it never did.
 */
static void listen_without_buffers(struct ring_worker *worker)
{
	worker->listens = !worker->listens;
	worker->awaits_backend = worker->listens;
	if (!worker->listens && !worker->until)
		worker->until = inprocess_now_ns() + LISTEN_AGAIN_NS;
}

static void decide(struct ring_worker *worker, enum progress progress, bool napped)
{
	const bool starves = inprocess_receives(worker) && progress == NEEDS_DRIVER;

	worker->ready = progress == UNFINISHED || progress == GIVES_WAY;
	worker->awaits_backend = progress == NEEDS_BACKEND;
	worker->until = worker->held_until ? worker->held_until
					   : interrupt_due(&worker->coalescing);
	worker->listens &= starves;
	if (worker->ready || progress == BROKEN)
		return;
	if (may_nap(worker, progress, napped)) {
		take_nap(worker);
	} else if (progress == NEEDS_DRIVER) {
		worker->kicks = true;
		worker->ready = ring_enable_kicks(&worker->ring);
		if (starves && !worker->ready)
			listen_without_buffers(worker);
	}
	if (!worker->ready &&
	    (starves || (!inprocess_receives(worker) && progress == NEEDS_BACKEND)))
		count(worker, QUEUE_STALLS);
}

void inprocess_ring_serve(struct ring_worker *worker)
{
	const bool napped = worker->naps;
	enum progress progress;

	enter_ring(worker);
	if (worker->kicks)
		ring_disable_kicks(&worker->ring);
	worker->kicks = false;
	if (napped && inprocess_receives(worker))
		begin_window(worker, inprocess_now_ns());
	worker->naps = false;
	leave_ring(worker);

	progress = work(worker);

	enter_ring(worker);
	if (progress == GIVES_WAY)
		worker->coalescing.owed |= settle(worker);
	else if (progress != NEEDS_DRIVER || inprocess_receives(worker) || !hold(worker))
		publish(worker);
	if (progress == BROKEN)
		tell_broken(worker);
	decide(worker, progress, napped);
	leave_ring(worker);
}
