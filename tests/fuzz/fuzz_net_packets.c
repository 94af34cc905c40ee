/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of any kind both ways through the in-process datapath, with its threads, a driver that
 * keeps the rules, and a backend on sockets. The input says which features, then what to do: send,
 * receive, change settings, stop and go on. Each packet arrives as it was sent, or not at all.
 *
 * All of it is done twice, on split rings and on packed ones: the same packets must pass.
 */
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire.h"
#include "tests/unit/driver.h"
#include "virtio/datapath_inprocess.h"
#include "virtio/defs.h"
#include "virtio/net_features.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "virtio/rarp.h"

enum {
	PAIRS = 2, /* receive rings are 2n, transmit rings 2n + 1 */
	RINGS = 2 * PAIRS,
	MEMORY = 64 << 20,
	RING_STEP = 0x10000,
	TABLES_AT = 0x100000, /* one a chain, at TABLE_STEP */
	TABLE_STEP = 0x800,
	DATA_AT = 0x400000, /* of a chain, at DATA_STEP; those that don't fit begin anew */
	DATA_STEP = 0x14000,
	CHAINS = (MEMORY - DATA_AT) / DATA_STEP / RINGS, /* of a ring */
	PIECES = 6,
	PIECES_MAX = TABLE_STEP / 16, /* in an indirect table */
	PACKETS_MAX = 4,	      /* in a step */
	SMALL_MAX = 8,		      /* buffers in a step that need not hold a packet */
	/* Buffers that hold any packet. One is left over: then the datapath looks for more. */
	LARGE = PACKETS_MAX + 1,
	/* Descriptors that a step of receiving may take. */
	STEP_MAX = SMALL_MAX * PIECES + LARGE,
	PACKET_MAX = 66000, /* more than passes */
	MTU = 1400,
	STEPS_MAX = 64,
	PATIENCE_MS = 30000, /* what takes longer never comes, even beside many others */
};
_Static_assert(CHAINS >= 128, "no ring has more chains");

#define FEATURE(name) (1ULL << (name))

struct packet {
	uint8_t bytes[PACKET_MAX];
	size_t len;
};

/* A chain that the driver made, by its id. */
struct chain {
	struct driver_piece pieces[PIECES_MAX];
	unsigned int n;
};

struct queue {
	struct driver_ring ring;
	struct chain chains[128];
	unsigned int n_made;
	int kick_fd, call_fd;
};

/* One run: a device and its driver. */
static struct run {
	struct wire wire;
	struct datapath *dp;
	struct queue queues[RINGS];
	uint64_t features;
	size_t header;
	bool link_up, steers, filters;
	bool scattered;		/* there were buffers of so many pieces that packets may not fit */
	unsigned int receiving; /* pairs */
	uint64_t passed;	/* a hash of all packets that did, in order */
} run;

static struct guest_memory mem;
static struct packet sent[PACKETS_MAX], got;

static bool accepted(unsigned int feature)
{
	return run.features >> feature & 1;
}

static void *host(uint64_t at, size_t len)
{
	void *p = memory_translate(&mem, gpa(at), len);

	require(p != NULL);
	return p;
}

/* FNV-1a, by words: it tells two runs apart, and nobody means to deceive it. */
static void note(const struct packet *packet, unsigned int queue)
{
	uint64_t hash = (run.passed ^ packet->len ^ (uint64_t)queue << 32) * 0x100000001b3ULL;

	for (size_t i = 0; i < packet->len; i++)
		hash = (hash ^ packet->bytes[i]) * 0x100000001b3ULL;
	run.passed = hash;
}

/* --- waiting --- */

static void wait_readable(struct pollfd *fds, unsigned int n)
{
	require(poll(fds, n, PATIENCE_MS) > 0);
}

/* Whether all that was sent to the device has gone its way. */
static bool is_dry(void)
{
	for (unsigned int i = 0; i < run.receiving; i++) {
		int waiting;

		require(ioctl(run.wire.fds[i], FIONREAD, &waiting) == 0);
		if (waiting)
			return false;
	}
	/* Behind the settings' locks: what was taken from the wire is placed. */
	return run.dp->ops->empty(run.dp);
}

static void wait_until_dry(void)
{
	while (!is_dry()) {
		struct pollfd fds[PAIRS];

		for (unsigned int i = 0; i < PAIRS; i++)
			fds[i] = (struct pollfd){.fd = run.wire.dry[i], .events = POLLIN};
		wait_readable(fds, PAIRS);
		for (unsigned int i = 0; i < PAIRS; i++)
			fd_eventfd_drain(run.wire.dry[i]);
	}
}

/* --- the driver --- */

/* Make a chain for @queue, whose pieces' addresses are still to be given; false if it is full. */
static bool make_chain(struct queue *queue, unsigned int index, struct chain *chain, bool indirect)
{
	uint64_t slot = index * CHAINS + queue->n_made % CHAINS;
	uint64_t at = DATA_AT + slot * DATA_STEP, table = TABLES_AT + slot * TABLE_STEP;
	int id;

	indirect = indirect && accepted(VIRTIO_RING_F_INDIRECT_DESC);
	if (queue->ring.n_free < (indirect ? 1 : chain->n))
		return false;
	for (unsigned int i = 0; i < chain->n; i++) {
		chain->pieces[i].addr = at;
		at += chain->pieces[i].len;
	}
	id = indirect ? driver_add_indirect(&queue->ring, chain->pieces, chain->n,
					    host(table, TABLE_STEP), gpa(table))
		      : driver_add_chain(&queue->ring, chain->pieces, chain->n);
	require(id >= 0 && id < 128);
	queue->chains[id] = *chain;
	queue->n_made++;
	return true;
}

static void expose(struct queue *queue)
{
	if (driver_expose(&queue->ring))
		fd_eventfd_signal(queue->kick_fd);
}

/* --- transmit --- */

/* The packet is what lies in the readable pieces of the chain. */
static void gather_chain(struct packet *packet, const struct chain *chain, size_t len, bool in)
{
	packet->len = 0;
	for (unsigned int i = 0; i < chain->n && packet->len < len; i++) {
		const struct driver_piece *piece = &chain->pieces[i];
		size_t n = piece->len < len - packet->len ? piece->len : len - packet->len;

		if (piece->in != in)
			continue;
		require(packet->len + n <= PACKET_MAX);
		memcpy(packet->bytes + packet->len, host(piece->addr, n), n);
		packet->len += n;
	}
}

/* What comes out at the wire's end; false if nothing does. */
static bool read_wire(unsigned int queue)
{
	ssize_t len = recv(run.wire.ends[queue], got.bytes, sizeof(got.bytes), MSG_DONTWAIT);

	if (len <= 0)
		return false;
	got.len = (size_t)len;
	note(&got, queue);
	return true;
}

/* The next packet on the wire is the first of @n that are left in sent[]. */
static bool take_sent(unsigned int queue, unsigned int *next, unsigned int n)
{
	if (!read_wire(queue))
		return false;
	while (*next < n &&
	       (sent[*next].len != got.len || memcmp(sent[*next].bytes, got.bytes, got.len) != 0))
		(*next)++;
	require(*next < n);
	(*next)++;
	return true;
}

static void fill(struct input *in, void *to, size_t len, size_t from_input)
{
	size_t n = from_input < len ? from_input : len;

	n = n < in->len ? n : in->len;
	memset(to, (int)(len & 0x7f), len);
	memcpy(to, in->data, n);
	in->data += n;
	in->len -= n;
}

static void make_packet_chain(struct input *in, struct chain *chain)
{
	unsigned int n = take(in, 1);

	chain->n = 1 + n % PIECES;
	for (unsigned int i = 0; i < chain->n; i++) {
		uint32_t len = take(in, 1);

		/* Some are large. The last one may be for the device to write to. */
		chain->pieces[i].len = len < 0xe0 ? len : (len - 0xdf) * 331;
		chain->pieces[i].in = i + 1 == chain->n && n & 0x80;
	}
}

/* Some packets at once, in one ring, and all that become of them. */
static void transmit(struct input *in, unsigned int pair)
{
	struct queue *queue = &run.queues[2 * pair + 1];
	struct pollfd fds[] = {{.fd = queue->call_fd, .events = POLLIN},
			       {.fd = run.wire.ends[pair], .events = POLLIN}};
	unsigned int n = 0, n_made = 0, n_used = 0, next = 0, arrived = 0;
	uint32_t how = take(in, 1), id, len;

	for (unsigned int i = 0; i <= how % PACKETS_MAX; i++) {
		struct chain chain;

		make_packet_chain(in, &chain);
		if (!make_chain(queue, 2 * pair + 1, &chain, how & 4))
			break;
		for (unsigned int k = 0; k < chain.n; k++)
			fill(in, host(chain.pieces[k].addr, chain.pieces[k].len),
			     chain.pieces[k].len, 32);
		gather_chain(&sent[n], &chain, SIZE_MAX, false);
		n += sent[n].len >= run.header && run.link_up;
		n_made++;
	}
	expose(queue);
	while (n_used < n_made) {
		if (!driver_enable_interrupts(&queue->ring))
			wait_readable(fds, 2);
		fd_eventfd_drain(queue->call_fd);
		while (driver_used(&queue->ring, &id, &len)) {
			require(len == 0);
			n_used++;
		}
		while (take_sent(pair, &next, n))
			arrived++;
	}
	while (take_sent(pair, &next, n))
		arrived++;
	require(arrived == n);
}

/* --- receive --- */

/* In few pieces of some lengths; or in @many of the same, if that isn't 0. */
static void make_buffer(struct input *in, struct chain *chain, unsigned int many)
{
	uint32_t len = 0;

	chain->n = many ? many : 1 + take(in, 1) % PIECES;
	for (unsigned int i = 0; i < chain->n; i++) {
		if (!many || !i)
			len = take(in, 1);
		chain->pieces[i] = (struct driver_piece){.len = len, .in = true};
	}
}

static void post_buffers(struct input *in, unsigned int pair, uint32_t how)
{
	struct queue *queue = &run.queues[2 * pair];
	bool tables = how & 0x40 && accepted(VIRTIO_RING_F_INDIRECT_DESC);
	/* 2.7.5.3.1: no chain is longer than the ring. */
	unsigned int many = tables && how & 0x20 ? queue->ring.size : 0;

	run.scattered |= many != 0;
	for (unsigned int i = 0; i < how % SMALL_MAX; i++) {
		struct chain chain;

		make_buffer(in, &chain, many);
		/* 5.1.6.3.1: at least as large as the header. */
		chain.pieces[chain.n - 1].len += (uint32_t)run.header;
		make_chain(queue, 2 * pair, &chain, how & 0x40);
	}
	expose(queue);
}

static void post_large(unsigned int pair)
{
	struct queue *queue = &run.queues[2 * pair];

	for (unsigned int i = 0; i < LARGE; i++) {
		struct chain chain = {.n = 1, .pieces = {{.len = PACKET_MAX, .in = true}}};

		make_chain(queue, 2 * pair, &chain, false);
	}
	expose(queue);
}

static void put_on_wire(struct input *in, unsigned int pair, struct packet *packet)
{
	uint32_t len = take(in, 2);

	packet->len = (len & 0x8000 ? len : len % 2000) + 1;
	fill(in, packet->bytes, packet->len, run.header + 60);
	/* No backend knows these. */
	if (packet->len >= run.header && run.header == sizeof(struct virtio_net_hdr_v1_hash))
		memset(packet->bytes + sizeof(struct virtio_net_hdr_v1), 0,
		       run.header - sizeof(struct virtio_net_hdr_v1));
	require(send(run.wire.ends[pair], packet->bytes, packet->len, 0) == (ssize_t)packet->len);
}

/* Put the next packet that the driver got together; false if there is none. */
static bool take_received(unsigned int pair)
{
	struct queue *queue = &run.queues[2 * pair];
	struct virtio_net_hdr_v1 header;
	uint32_t id, len;

	if (!driver_used(&queue->ring, &id, &len))
		return false;
	gather_chain(&got, &queue->chains[id], len, true);
	require(got.len == len && len >= run.header);
	memcpy(&header, got.bytes, sizeof(header));
	require(header.num_buffers >= 1);
	require(header.num_buffers == 1 || accepted(VIRTIO_NET_F_MRG_RXBUF));
	for (unsigned int i = 1; i < header.num_buffers; i++) {
		static struct packet more;

		require(driver_used(&queue->ring, &id, &len) && len > 0);
		gather_chain(&more, &queue->chains[id], len, true);
		require(more.len == len && got.len + len <= PACKET_MAX);
		memcpy(got.bytes + got.len, more.bytes, len);
		got.len += len;
	}
	require(accepted(VIRTIO_NET_F_GUEST_CSUM) || !header.flags);
	note(&got, pair);
	return true;
}

/* The same, but for what the device writes into the header. */
static bool same_packet(const struct packet *packet)
{
	size_t flags = offsetof(struct virtio_net_hdr_v1, flags);
	size_t num_buffers = offsetof(struct virtio_net_hdr_v1, num_buffers);

	return packet->len == got.len &&
	       (packet->bytes[flags] == got.bytes[flags] || !accepted(VIRTIO_NET_F_GUEST_CSUM)) &&
	       memcmp(packet->bytes + flags + 1, got.bytes + flags + 1, num_buffers - flags - 1) ==
		       0 &&
	       memcmp(packet->bytes + run.header, got.bytes + run.header, got.len - run.header) ==
		       0;
}

/* Whether nothing but its own length keeps @packet from the driver. */
static bool must_arrive(const struct packet *packet)
{
	size_t most = run.header + 18 + 40 + 65535;

	return run.link_up && !run.filters && !run.steers && !run.scattered &&
	       accepted(VIRTIO_NET_F_MRG_RXBUF) && !accepted(VIRTIO_NET_F_MTU) &&
	       packet->len >= run.header && packet->len <= most;
}

static void receive(struct input *in, unsigned int pair)
{
	uint32_t how = take(in, 1);
	unsigned int n = 1 + how / SMALL_MAX % PACKETS_MAX, next[PAIRS] = {0}, expected = 0;
	bool first = run.steers || how & 0x80;
	unsigned int arrived = 0;

	pair %= run.receiving;
	for (unsigned int i = 0; i < PAIRS; i++) {
		if (run.queues[2 * i].ring.n_free < STEP_MAX)
			return;
	}
	if (first) {
		for (unsigned int i = 0; i < PAIRS; i++) {
			post_buffers(in, i, how);
			post_large(i);
		}
	}
	for (unsigned int i = 0; i < n; i++) {
		put_on_wire(in, pair, &sent[i]);
		expected += must_arrive(&sent[i]);
	}
	if (!first) {
		post_buffers(in, pair, how);
		post_large(pair);
	}
	wait_until_dry();
	for (unsigned int i = 0; i < PAIRS; i++) {
		while (take_received(i)) {
			require(run.link_up && (i == pair || run.steers));
			while (next[i] < n && !same_packet(&sent[next[i]]))
				next[i]++;
			require(next[i] < n);
			next[i]++;
			arrived++;
		}
	}
	require(arrived >= expected && arrived <= n);
}

/* --- settings --- */

static void set_filter(struct input *in)
{
	struct net_filter filter = {0};
	uint32_t how = take(in, 2);

	filter.active = how & 1;
	filter.promisc = how & 2;
	filter.allmulti = how & 4;
	filter.alluni = how & 8;
	filter.nomulti = how & 0x10;
	filter.nouni = how & 0x20;
	filter.nobcast = how & 0x40;
	filter.vlan_active = how & 0x80;
	filter.unicast.n = how >> 8 & 1;
	filter.multicast.n = how >> 9 & 1;
	filter.multicast.overflow = how >> 10 & 1;
	fill(in, filter.mac, sizeof(filter.mac), sizeof(filter.mac));
	memcpy(filter.unicast.macs[0], filter.mac, sizeof(filter.mac));
	memcpy(filter.multicast.macs[0], filter.mac, sizeof(filter.mac));
	filter.multicast.macs[0][0] |= 1;
	memset(filter.vlans, (int)take(in, 1), sizeof(filter.vlans));
	require(run.dp->ops->set_filter(run.dp, &filter) == 0);
	run.filters = filter.active || filter.vlan_active;
}

static void set_rss(struct input *in)
{
	uint32_t how = take(in, 1);
	struct net_rss rss = {
		.hash_types = take(in, 2) & NET_RSS_HASH_TYPES,
		.table_size = (uint16_t)(how & 1 ? 1u << (how >> 1 & 3) : 0),
		.unclassified = how >> 3 & 1,
	};
	bool valid = true;

	for (unsigned int i = 0; i < rss.table_size; i++) {
		/* Now and then one that isn't there. */
		rss.table[i] = (uint16_t)(how >> 4 == 0xf ? i : (how >> 4 >> i % 4) & 1);
		valid &= rss.table[i] < PAIRS;
	}
	memset(rss.key, (int)how, sizeof(rss.key));
	require(run.dp->ops->set_rss(run.dp, &rss) == (valid ? 0 : -EINVAL));
	if (valid)
		run.steers = rss.table_size;
}

static void set_something(struct input *in, uint32_t op)
{
	static const uint8_t mac[6] = {2};
	const struct datapath_ops *ops = run.dp->ops;

	switch (op % 8) {
	case 0:
		set_filter(in);
		break;
	case 1:
		if (accepted(VIRTIO_NET_F_RSS))
			set_rss(in);
		break;
	case 2:
		require(ops->set_offloads(run.dp, take64(in) & net_features_guest_offloads) == 0);
		/* Their flags may be gone now. */
		run.features &= ~FEATURE(VIRTIO_NET_F_GUEST_CSUM);
		require(ops->set_offloads(run.dp, 0) == 0);
		break;
	case 3:
		run.link_up = op & 0x80;
		require(ops->set_link(run.dp, run.link_up) == 0);
		break;
	case 4:
		require(ops->set_queue_pairs(run.dp, op / 8) ==
			(op / 8 && op / 8 <= PAIRS ? 0 : -EINVAL));
		if (op / 8 && op / 8 <= PAIRS)
			run.receiving = op / 8;
		break;
	case 5:
		require(ops->set_coalescing(run.dp, op / 8 % RINGS, take(in, 1), take(in, 1)) == 0);
		break;
	default:
		require(ops->announce(run.dp, mac) == 0);
		require(read_wire(0) && got.len == run.header + RARP_FRAME_SIZE);
		break;
	}
}

/* --- start and stop --- */

static void start_ring(unsigned int index, const struct ring_state *state)
{
	struct queue *queue = &run.queues[index];
	const struct datapath_wires wires = {queue->kick_fd, queue->call_fd, NULL};

	require(run.dp->ops->start_ring(run.dp, index, state, &wires) == 0);
}

/* Stop a ring, and go on where it stands. */
static void restart_ring(unsigned int index)
{
	struct queue *queue = &run.queues[index];
	struct ring_state state, before = driver_ring_state(&queue->ring);

	run.dp->ops->stop_ring(run.dp, index, &state);
	require(state.next_used == before.next_used && state.size == before.size);
	start_ring(index, &state);
}

static void stop_rings(void)
{
	struct ring_state state;

	for (unsigned int i = 0; i < RINGS; i++)
		run.dp->ops->stop_ring(run.dp, i, &state);
}

/* With fresh rings and the settings as after a reset. */
static void start(uint16_t size)
{
	bool packed = accepted(VIRTIO_F_RING_PACKED), event_idx = accepted(VIRTIO_RING_F_EVENT_IDX);

	run.header = accepted(VIRTIO_NET_F_HASH_REPORT) ? sizeof(struct virtio_net_hdr_v1_hash)
							: sizeof(struct virtio_net_hdr_v1);
	run.link_up = true;
	run.steers = run.filters = run.scattered = false;
	run.receiving = PAIRS;
	require(run.dp->ops->set_features(run.dp, run.features) == 0);
	require(run.dp->ops->set_queue_pairs(run.dp, PAIRS) == 0);
	for (unsigned int i = 0; i < RINGS; i++) {
		struct queue *queue = &run.queues[i];
		gpa_t at = gpa((i + 1) * RING_STEP);
		struct ring_state state;

		if (packed)
			driver_packed_init(&queue->ring, &mem, at, size, event_idx, 0x8000);
		else
			driver_ring_init(&queue->ring, &mem, at, size, event_idx, 0);
		state = driver_ring_state(&queue->ring);
		start_ring(i, &state);
	}
}

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	(void)opaque;
	(void)index;
	(void)why;
	require(false);
}

static void create(void)
{
	const struct inprocess_config config = {
		.name = "fuzz",
		.queue_pairs = PAIRS,
		.mem = &mem,
		.backend = &run.wire.backend,
		.mtu = MTU,
	};

	memset(&run.wire, 0, sizeof(run.wire));
	wire_open(&run.wire, PAIRS, net_features_guest_offloads | FEATURE(VIRTIO_NET_F_CSUM));
	run.dp = inprocess_create(&config);
	require(run.dp != NULL);
	run.dp->events.ring_broken = ring_broken;
	for (unsigned int i = 0; i < RINGS; i++) {
		run.queues[i].kick_fd = fd_eventfd();
		run.queues[i].call_fd = fd_eventfd();
		run.queues[i].n_made = 0;
	}
	run.passed = 0xcbf29ce484222325ULL;
}

static void destroy(void)
{
	run.dp->ops->destroy(run.dp);
	wire_close(&run.wire);
	for (unsigned int i = 0; i < RINGS; i++) {
		close(run.queues[i].kick_fd);
		close(run.queues[i].call_fd);
	}
}

static uint64_t chosen_features(struct input *in)
{
	static const unsigned int choices[] = {
		VIRTIO_NET_F_MRG_RXBUF,	     VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MTU,
		VIRTIO_NET_F_HASH_REPORT,    VIRTIO_NET_F_RSS,	      VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER,
	};
	uint32_t bits = take(in, 1);
	uint64_t features = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_NET_F_MQ);

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (bits >> i & 1)
			features |= FEATURE(choices[i]);
	}
	return features;
}

/* All that the input says, on rings of one format; a hash of what passed. */
static uint64_t do_all(struct input in, uint64_t format)
{
	uint64_t chosen = chosen_features(&in);
	uint16_t size = (uint16_t)(64u << take(&in, 1) % 2);

	create();
	run.features = chosen | format;
	start(size);
	for (int i = 0; in.len && i < STEPS_MAX; i++) {
		uint32_t op = take(&in, 1);

		switch (op % 4) {
		case 0:
			transmit(&in, op >> 7);
			break;
		case 1:
			receive(&in, op >> 7);
			break;
		case 2:
			set_something(&in, take(&in, 1));
			break;
		default:
			if (op & 0x40) {
				restart_ring(op / 4 % RINGS);
				break;
			}
			stop_rings();
			run.features = chosen | format;
			start(size);
			break;
		}
	}
	stop_rings();
	destroy();
	return run.passed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;
	const struct input in = {data, size};

	if (!mem.n_regions)
		require(memory_create(&mem, &range, 1, &config, NULL) == 0);
	require(do_all(in, 0) == do_all(in, FEATURE(VIRTIO_F_RING_PACKED)));
	return 0;
}
