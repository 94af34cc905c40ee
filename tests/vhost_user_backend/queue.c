/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/queue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "tests/vhost_user_backend/misbehave.h"

enum {
	BURST = 64, /* packets, between two interrupts */
};

static bool has(const struct queue_context *context, unsigned int feature)
{
	return context->features >> feature & 1;
}

static bool packed(const struct queue_context *context)
{
	return has(context, VIRTIO_F_RING_PACKED);
}

/* --- starting and stopping --- */

void queue_init(struct queue *queue, unsigned int index)
{
	*queue = (struct queue){.index = index, .kick_fd = -1, .call_fd = -1, .err_fd = -1};
}

static void locate(const struct queue *queue, const struct queue_context *context,
		   struct ring_state *state)
{
	const struct table *table = &context->table;
	bool is_packed = packed(context);
	uint64_t n = queue->num;

	/* virtio 1.3, 2.7 and 2.8.10.1; with room for the event index, used or not. */
	state->desc = table_from_user(table, queue->desc, 16 * n, "the descriptor table at");
	state->driver = table_from_user(table, queue->avail, is_packed ? 4 : 6 + 2 * n,
					"the available ring at");
	state->device = table_from_user(table, queue->used, is_packed ? 4 : 6 + 8 * n,
					"the used ring at");
}

static uint16_t used_index(const struct queue *queue, const struct queue_context *context,
			   const struct ring_state *state)
{
	uint16_t idx = 0;

	if (packed(context))
		return (uint16_t)(queue->base >> 16);
	memory_read(&context->table.mem, gpa_add(state->device, 2), &idx, sizeof(idx));
	return le16toh(idx);
}

static void check_positions(const struct queue *queue, const struct ring_state *state,
			    const struct queue_context *context)
{
	if (!packed(context) && queue->base > UINT16_MAX)
		violation("SET_VRING_BASE: %#x: bits 16 to 31 are not for a split ring",
			  queue->base);
	/* Ours is the only one who serves it, and it knows of nothing that was taken. */
	if (!context->inflight.map && state->next_avail != state->next_used)
		violation("ring %u: what lies between used index %#x and SET_VRING_BASE %#x is "
			  "forgotten",
			  queue->index, state->next_used, state->next_avail);
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		say("an eventfd can't be signalled: %s", strerror(errno));
}

static void check_broken(struct queue *queue)
{
	if (!queue->ring.broken)
		return;
	say("ring %u is broken: %s", queue->index, queue->ring.broken);
	if (queue->err_fd >= 0)
		signal_fd(queue->err_fd);
}

void queue_start(struct queue *queue, struct queue_context *context)
{
	struct ring_state state = {.size = (uint16_t)queue->num,
				   .next_avail = (uint16_t)queue->base};

	if (queue->started)
		return;
	if (!context->accepted)
		violation("ring %u starts before SET_FEATURES", queue->index);
	if (!queue->num || !queue->has_addr || !queue->has_base)
		violation("ring %u starts without SET_VRING_%s", queue->index,
			  !queue->num	     ? "NUM"
			  : !queue->has_addr ? "ADDR"
					     : "BASE");
	locate(queue, context, &state);
	state.next_used = used_index(queue, context, &state);
	check_positions(queue, &state, context);
	if (ring_start(&queue->ring, &context->table.mem, &state, context->features))
		violation("ring %u: %s", queue->index, queue->ring.broken);
	inflight_restore(&context->inflight, queue->index, &queue->ring);
	if (!has(context, VIRTIO_F_VERSION_1))
		queue->ring.broken = "a legacy driver";
	check_broken(queue);
	queue->started = true;
	queue->packets = queue->discarded = 0;
	say("ring %u starts at %#x", queue->index, queue->ring.state.next_avail);
}

void queue_move(struct queue *queue, struct queue_context *context)
{
	struct ring_state state = queue->ring.state;

	if (!queue->started)
		return;
	locate(queue, context, &state);
	if (ring_start(&queue->ring, &context->table.mem, &state, context->features))
		violation("ring %u: %s", queue->index, queue->ring.broken);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void queue_stop(struct queue *queue, const struct queue_context *context)
{
	const struct ring_state *state = &queue->ring.state;

	if (queue->started) {
		queue_interrupt(queue);
		queue->base = state->next_avail;
		if (packed(context))
			queue->base |= (uint32_t)state->next_used << 16;
		say("ring %u stops at %#x: %lu packets, %lu discarded", queue->index, queue->base,
		    queue->packets, queue->discarded);
	}
	queue->started = queue->polled = false;
	/* From where it goes on, and on which descriptors, must be said anew. */
	queue->has_base = false;
	close_fd(&queue->kick_fd);
	close_fd(&queue->call_fd);
}

void queue_close(struct queue *queue)
{
	close_fd(&queue->kick_fd);
	close_fd(&queue->call_fd);
	close_fd(&queue->err_fd);
}

void queue_interrupt(struct queue *queue)
{
	if (!queue->interrupt || queue->call_fd < 0)
		return;
	queue->interrupt = false;
	signal_fd(queue->call_fd);
}

/* --- packets --- */

/* Scratch for one packet; this program has one thread. */
static struct ring_chain tx_chain, rx_chains[RING_SIZE_MAX];
static struct iovec tx_iov[RING_SIZE_MAX], rx_iov[RING_SIZE_MAX];
static struct packet packet;

/* 1: a packet from the driver is in packet, its chain in tx_chain. 0: there is none. */
static int take(struct queue *transmit)
{
	int ret = ring_pop(&transmit->ring, &tx_chain, tx_iov, RING_SIZE_MAX);

	packet.len = 0;
	if (ret < 0)
		check_broken(transmit);
	for (unsigned int i = 0; ret == 1 && i < tx_chain.n_out; i++) {
		size_t room = PACKET_MAX - packet.len;
		size_t n = tx_iov[i].iov_len < room ? tx_iov[i].iov_len : room;

		memcpy(packet.data + packet.len, tx_iov[i].iov_base, n);
		packet.len += n;
	}
	return ret == 1;
}

/*
 * Take buffers for @len bytes. How many chains; 0: there are none, or not enough, and then none is
 * taken. *@room: bytes in what there is.
 */
static unsigned int reserve(struct queue *receive, const struct queue_context *context, size_t len,
			    unsigned int *n_iov, size_t *room)
{
	struct ring *ring = &receive->ring;
	uint16_t before = ring->state.next_avail;
	unsigned int n = 0;

	*n_iov = 0;
	*room = 0;
	while (*room < len && n < RING_SIZE_MAX) {
		if (ring_pop(ring, &rx_chains[n], rx_iov + *n_iov, RING_SIZE_MAX - *n_iov) != 1)
			break;
		*room += rx_chains[n].in_len;
		*n_iov += rx_chains[n++].n_in;
		if (!has(context, VIRTIO_NET_F_MRG_RXBUF))
			break;
	}
	check_broken(receive);
	if (*room >= len)
		return n;
	ring_rewind(ring, before);
	return 0;
}

static void fill(unsigned int n_iov, const struct packet *from)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n_iov && done < from->len; i++) {
		size_t n = from->len - done < rx_iov[i].iov_len ? from->len - done
								: rx_iov[i].iov_len;

		memcpy(rx_iov[i].iov_base, from->data + done, n);
		done += n;
	}
}

static void give_back(struct queue *queue, struct queue_context *context,
		      const struct ring_chain *chains, unsigned int n, size_t written)
{
	for (unsigned int i = 0; i < n; i++) {
		size_t part = written < chains[i].in_len ? written : chains[i].in_len;

		ring_push(&queue->ring, &chains[i], (uint32_t)part);
		written -= part;
	}
	misbehave_packet(MOMENT_WRITTEN);
	inflight_return(&context->inflight, queue->index, &queue->ring, chains, n);
	misbehave_packet(MOMENT_MOVED);
	queue->interrupt |= ring_publish(&queue->ring);
	inflight_published(&context->inflight, queue->index, &queue->ring, chains, n);
	queue->packets++;
	misbehave_packet(MOMENT_PUBLISHED);
}

/* Put a packet into the receive ring. False if it has to wait for buffers. */
static bool receive_packet(struct queue *receive, struct queue_context *context,
			   struct packet *from)
{
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)from->data;
	unsigned int n_iov, n;
	size_t room;

	if (!far_end_fit(from, context->features)) {
		say("a packet is lost that the driver couldn't make sense of");
		return true;
	}
	n = reserve(receive, context, from->len, &n_iov, &room);
	/* There are too few: ask for a kick, for which it may be too late. */
	if (!n && ring_enable_kicks(&receive->ring))
		n = reserve(receive, context, from->len, &n_iov, &room);
	if (!n && room && !has(context, VIRTIO_NET_F_MRG_RXBUF)) {
		say("a packet of %zu bytes is lost: a buffer has %zu", from->len, room);
		return true;
	}
	if (!n)
		return false;
	inflight_take(&context->inflight, receive->index, &receive->ring, rx_chains, n);
	misbehave_packet(MOMENT_TAKEN);
	header->num_buffers = htole16((uint16_t)n);
	fill(n_iov, from);
	give_back(receive, context, rx_chains, n, from->len);
	return true;
}

enum outcome {
	NONE,
	MOVED,
	WAITS, /* for room in the far end */
};

static enum outcome transmit_packet(struct queue *transmit, struct queue_context *context,
				    struct far_end *far)
{
	if (!take(transmit))
		return NONE;
	inflight_take(&context->inflight, transmit->index, &transmit->ring, &tx_chain, 1);
	misbehave_packet(MOMENT_TAKEN);
	packet.pair = transmit->index / 2;
	if (!transmit->enabled) {
		transmit->discarded++;
	} else if (!far_end_send(far, &packet)) {
		inflight_untake(&context->inflight, transmit->index, &tx_chain);
		ring_rewind(&transmit->ring, tx_chain.position);
		return WAITS;
	}
	give_back(transmit, context, &tx_chain, 1, 0);
	return MOVED;
}

bool queue_serve_pair(struct queue *receive, struct queue *transmit, struct queue_context *context,
		      struct far_end *far)
{
	enum outcome outcome = NONE;
	unsigned int n = 0;

	for (; n < BURST && queue_works(receive) && far_end_receive(far); n++) {
		if (far->pending.pair != receive->index / 2 ||
		    !receive_packet(receive, context, &far->pending))
			break;
		far->pending.len = 0;
	}
	for (; n < BURST && transmit->started && !transmit->ring.broken; n++) {
		outcome = transmit_packet(transmit, context, far);
		if (outcome != MOVED)
			break;
	}
	queue_interrupt(receive);
	queue_interrupt(transmit);
	if (outcome == WAITS)
		return false; /* until POLLOUT */
	return n == BURST || (transmit->started && ring_enable_kicks(&transmit->ring));
}
