/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: what holds for both formats, and split ones (2.7). */
#include "selftest/selftest.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"

enum {
	MANY = 5000,   /* buffers */
	ROUND = 65536, /* of the indices */
};

#define EVENT_IDX FEATURE(VIRTIO_F_EVENT_IDX)
#define INDIRECT  FEATURE(VIRTIO_F_INDIRECT_DESC)

static struct frame frame;
static struct echo echo;

/* --- framing: a frame in pieces comes back as it was --- */

/* Cut the header and the frame into pieces of @header_piece and @frame_piece bytes. */
static const char *send_in_pieces(uint32_t len, uint32_t header_piece, uint32_t frame_piece,
				  bool joined)
{
	static uint8_t whole[sizeof(struct net_header) + FRAME_MAX];
	struct segment segments[QUEUE_SIZE];
	uint32_t end = net.header_size + len;
	unsigned int n = 0;

	make_frame(&frame, len);
	memcpy(whole, &frame.header, net.header_size);
	memcpy(whole + net.header_size, frame.data, len);
	for (uint32_t at = 0; at < end;) {
		bool in_header = at < net.header_size;
		uint32_t piece = in_header ? header_piece : frame_piece;

		if (in_header && !joined && piece > net.header_size - at)
			piece = net.header_size - at;
		piece = piece < end - at ? piece : end - at;
		segments[n++] = (struct segment){whole + at, piece};
		at += piece;
	}
	if (!virtqueue_add(&net.queues[TRANSMIT], segments, n, 0, &frame))
		fatal("no room for %u pieces", n);
	virtqueue_publish(&net.queues[TRANSMIT]);
	if (!transmit_done())
		return failed("a frame in %u pieces isn't sent", n);
	if (!receive_echo(&frame, &echo))
		return failed("a frame in %u pieces doesn't come back", n);
	if (echo.len != len || memcmp(echo.data + 12, frame.data + 12, len - 12) != 0)
		return failed("a frame in %u pieces comes back with other contents", n);
	return NULL;
}

static const char *pieces(uint64_t features, uint32_t header_piece, uint32_t frame_piece,
			  bool joined)
{
	start(features);
	give_buffers(8, BUFFER_SIZE);
	return send_in_pieces(FRAME_MIN, header_piece, frame_piece, joined);
}

static const char *one_piece(void)
{
	return pieces(0, FRAME_MAX, FRAME_MAX, true);
}

static const char *header_apart(void)
{
	return pieces(0, FRAME_MAX, FRAME_MAX, false);
}

static const char *header_with_some(void)
{
	return pieces(0, 20, 17, true);
}

static const char *header_in_bytes(void)
{
	return pieces(0, 1, FRAME_MAX, false);
}

static const char *frame_in_bytes(void)
{
	return pieces(0, FRAME_MAX, 1, false);
}

static const char *odd_pieces(void)
{
	return pieces(0, 5, 7, true);
}

static const char *indirect_pieces(void)
{
	return pieces(INDIRECT, 1, 3, false);
}

/* A receive buffer in pieces of @piece bytes. */
static const char *receive_in_pieces(uint32_t first, uint32_t piece)
{
	static uint8_t whole[sizeof(struct net_header) + FRAME_MAX];
	struct segment segments[QUEUE_SIZE];
	const uint32_t end = net.header_size + FRAME_MIN;
	unsigned int n = 0;
	uint8_t *token;
	uint32_t len;

	memset(whole, 0xee, sizeof(whole));
	for (uint32_t at = 0; at < end; n++) {
		uint32_t size = n == 0 ? first : piece;

		size = size < end - at ? size : end - at;
		segments[n] = (struct segment){whole + at, size};
		at += size;
	}
	virtqueue_add(&net.queues[RECEIVE], segments, 0, n, whole);
	virtqueue_publish(&net.queues[RECEIVE]);
	make_frame(&frame, FRAME_MIN);
	if (!send(&frame))
		return failed("nothing is sent");
	for (deadline_t d = deadline(PATIENCE_MS);
	     !virtqueue_take(&net.queues[RECEIVE], (void **)&token, &len);)
		if (deadline_passed(d))
			return failed("nothing is received in %u pieces", n);
	if (len != end)
		return failed("%u bytes are written to %u pieces, not %u", len, n, end);
	if (memcmp(whole + net.header_size + 12, frame.data + 12, FRAME_MIN - 12) != 0)
		return failed("%u pieces hold other contents", n);
	return NULL;
}

/* What earlier cases left on its way must not get into the only buffer. */
static void start_quiet(uint64_t features)
{
	start(features);
	give_buffers(4, BUFFER_SIZE);
	if (exchange_new(FRAME_MIN) != NULL)
		fatal("frames don't come back");
	start(features);
}

static const char *receive_header_apart(void)
{
	start_quiet(0);
	return receive_in_pieces(net.header_size, FRAME_MAX);
}

static const char *receive_small_pieces(void)
{
	start_quiet(0);
	return receive_in_pieces(5, 7);
}

static const char *receive_indirect(void)
{
	start_quiet(INDIRECT);
	return receive_in_pieces(3, 2);
}

/* --- buffers --- */

static const char *readable_unchanged(void)
{
	static struct frame copy;
	const char *result;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MAX);
	copy = frame;
	result = exchange(&frame, &echo);
	if (result == NULL && memcmp(&copy, &frame, sizeof(frame)) != 0)
		result = failed("the buffer differs from what was made available");
	return result;
}

static const char *writable_beyond_len(void)
{
	const char *result;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	result = exchange_new(FRAME_MIN);
	if (result != NULL)
		return result;
	make_frame(&frame, FRAME_MIN);
	result = exchange(&frame, &echo);
	if (result == NULL && echo.used_len[0] != net.header_size + FRAME_MIN)
		result = failed("used length is %u, not %u", echo.used_len[0],
				net.header_size + FRAME_MIN);
	return result;
}

static const char *transmit_len_zero(void)
{
	struct segment segment;
	void *token;
	uint32_t len;

	start(0);
	make_frame(&frame, FRAME_MIN);
	segment = (struct segment){&frame.header, net.header_size + FRAME_MIN};
	virtqueue_add(&net.queues[TRANSMIT], &segment, 1, 0, &frame);
	virtqueue_publish(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS);
	     !virtqueue_take(&net.queues[TRANSMIT], &token, &len);)
		if (deadline_passed(d))
			return failed("nothing is sent");
	return len == 0 ? NULL : failed("used length of a readable buffer is %u", len);
}

static const char *lengths(void)
{
	const char *result = NULL;

	start(0);
	give_buffers(32, BUFFER_SIZE);
	for (uint32_t len = FRAME_MIN; len <= FRAME_MAX && result == NULL; len += 101)
		result = exchange_new(len);
	return result;
}

/* --- sizes of queues, and many buffers --- */

/* Zero frames, which go to nobody, @n of them, as many at a time as there is room for. */
static const char *send_many(unsigned int n)
{
	static uint8_t data[NET_HEADER_SIZE + 8 + FRAME_MIN];
	struct segment segment = {data, net.header_size + FRAME_MIN};
	unsigned int sent = 0, used = 0;

	while (used < n) {
		for (; sent < n && virtqueue_add(&net.queues[TRANSMIT], &segment, 1, 0, data);
		     sent++)
			;
		virtqueue_publish(&net.queues[TRANSMIT]);
		if (!transmit_done())
			return failed("buffer %u of %u isn't used", used, n);
		used++;
	}
	return NULL;
}

static const char *queue_of(uint16_t size, uint64_t features)
{
	start_sized(features, size);
	return send_many(4u * size);
}

static const char *queue_of_one(void)
{
	return queue_of(1, 0);
}

static const char *queue_of_two(void)
{
	return queue_of(2, 0);
}

static const char *queue_of_max(void)
{
	uint16_t max;

	negotiate(0);
	max = device.transport->queue_max(&device, TRANSMIT);
	set_up_queue(TRANSMIT, max);
	virtio_driver_ok(&device);
	return send_many(2u * max);
}

static const char *many(void)
{
	start(0);
	return send_many(MANY);
}

static const char *many_with_event_idx(void)
{
	start(EVENT_IDX);
	return send_many(MANY);
}

static const char *indices_wrap(void)
{
	start(EVENT_IDX);
	return send_many(ROUND + 2 * QUEUE_SIZE);
}

static const char *spurious_kicks(void)
{
	const char *result = NULL;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	for (unsigned int i = 0; i < 20 && result == NULL; i++) {
		for (unsigned int k = 0; k < 20; k++) {
			virtqueue_kick(&net.queues[TRANSMIT]);
			virtqueue_kick(&net.queues[RECEIVE]);
		}
		result = exchange_new(FRAME_MIN);
	}
	if (result == NULL && device.transport->status(&device) & VIRTIO_NEEDS_RESET)
		result = failed("DEVICE_NEEDS_RESET is set");
	return result;
}

static const char *kicks_only_when_asked(void)
{
	const char *result = NULL;

	/* The library kicks only where the device asks for it: nothing may get stuck. */
	start(EVENT_IDX);
	give_buffers(8, BUFFER_SIZE);
	for (unsigned int i = 0; i < 200 && result == NULL; i++)
		result = exchange_new(FRAME_MIN);
	return result;
}

/* --- used buffer notifications --- */

static const char *send_one(void)
{
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent");
}

static const char *silence(uint32_t seen)
{
	return interrupted(seen, QUIET_MS) ? failed("an interrupt comes") : NULL;
}

static const char *noise(uint32_t seen)
{
	return interrupted(seen, PATIENCE_MS) ? NULL : failed("no interrupt comes");
}

static const char *asked_for(uint64_t features, bool on)
{
	const char *result;
	uint32_t seen;

	start(features);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], on);
	seen = irq_count(device.irq);
	result = send_one();
	if (result != NULL)
		return result;
	return on ? noise(seen) : silence(seen);
}

static const char *interrupt_on(void)
{
	return asked_for(0, true);
}

static const char *interrupt_off(void)
{
	return asked_for(0, false);
}

static const char *event_interrupt_on(void)
{
	return asked_for(EVENT_IDX, true);
}

static const char *event_interrupt_off(void)
{
	const char *result;
	uint32_t seen;

	/* The first buffer of all may be told in any case: nothing is known before it. */
	start(EVENT_IDX);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	result = send_one();
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], false);
	interrupted(irq_count(device.irq), QUIET_MS);
	seen = irq_count(device.irq);
	if (result == NULL)
		result = send_one();
	return result != NULL ? result : silence(seen);
}

static const char *receive_interrupt(void)
{
	uint32_t seen;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	virtqueue_enable_interrupts(&net.queues[RECEIVE], true);
	seen = irq_count(device.irq);
	make_frame(&frame, FRAME_MIN);
	if (!send(&frame) || !receive_echo(&frame, &echo))
		return failed("a frame does not come back");
	return noise(seen);
}

static const char *interrupt_each_time(void)
{
	const char *result = NULL;

	start(0);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	for (unsigned int i = 0; i < 50 && result == NULL; i++) {
		uint32_t seen = irq_count(device.irq);

		result = send_one();
		if (result == NULL)
			result = noise(seen);
		device.transport->take_causes(&device);
	}
	return result;
}

static const char *used_event_ignored(void)
{
	struct split_ring *ring = &net.queues[TRANSMIT].split;
	const char *result;
	uint32_t seen;

	start(0);
	ring->available->flags = 0;
	*ring->used_event = 1000;
	barrier_full();
	seen = irq_count(device.irq);
	result = send_one();
	return result != NULL ? result : noise(seen);
}

static const char *flags_ignored(void)
{
	struct split_ring *ring = &net.queues[TRANSMIT].split;
	const char *result;
	uint32_t seen;

	start(EVENT_IDX);
	*ring->used_event = 0;
	ring->available->flags = SPLIT_NO_INTERRUPT;
	barrier_full();
	seen = irq_count(device.irq);
	result = send_one();
	return result != NULL ? result : noise(seen);
}

static const char *used_event_reached(void)
{
	struct split_ring *ring = &net.queues[TRANSMIT].split;
	const char *result = event_interrupt_off();
	uint32_t seen;

	/* Two were used. The one with index 4 is to be told, and those before it aren't. */
	if (result != NULL)
		return result;
	/* Or the line of a device on MMIO may still be up, and no edge tells of the next one. */
	device.transport->take_causes(&device);
	*ring->used_event = 4;
	barrier_full();
	seen = irq_count(device.irq);
	for (unsigned int i = 2; i < 4 && result == NULL; i++)
		result = send_one();
	if (result == NULL)
		result = silence(seen);
	if (result == NULL)
		result = send_one();
	return result != NULL ? result : noise(seen);
}

static const char *device_flags(void)
{
	const struct split_ring *ring = &net.queues[TRANSMIT].split;
	const char *result = NULL;

	start(0);
	for (unsigned int i = 0; i < 50 && result == NULL; i++) {
		result = send_one();
		if (ring->used->flags > 1)
			result = failed("flags is %#x", ring->used->flags);
	}
	return result;
}

static const char *device_flags_zero(void)
{
	const struct split_ring *ring = &net.queues[TRANSMIT].split;
	const char *result = NULL;

	start(EVENT_IDX);
	for (unsigned int i = 0; i < 50 && result == NULL; i++) {
		result = send_one();
		if (ring->used->flags != 0)
			result = failed("flags is %#x", ring->used->flags);
	}
	return result;
}

/* --- descriptors of a split ring --- */

/* Make the chain that begins at @head available, and wait for it. */
static const char *show(uint16_t head)
{
	struct split_ring *ring = &net.queues[TRANSMIT].split;
	uint16_t idx = ring->available->idx;

	ring->available->ring[idx % QUEUE_SIZE] = head;
	barrier_write();
	ring->available->idx = (uint16_t)(idx + 1);
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS); ring->used->idx != (uint16_t)(idx + 1);)
		if (deadline_passed(d))
			return failed("it isn't used; status %#x",
				      device.transport->status(&device));
	if (ring->used->ring[idx % QUEUE_SIZE].id != head)
		return failed("buffer %u is used, not %u", ring->used->ring[idx % QUEUE_SIZE].id,
			      head);
	return NULL;
}

static struct split_descriptor describe(const void *data, uint32_t len, uint16_t flags,
					uint16_t next)
{
	return (struct split_descriptor){(uintptr_t)data, len, flags, next};
}

static const char *expect_echo(void)
{
	if (!receive_echo(&frame, &echo))
		return failed("the frame does not come back");
	if (echo.len != frame.len || memcmp(echo.data + 12, frame.data + 12, frame.len - 12) != 0)
		return failed("the frame comes back with other contents");
	return NULL;
}

static const char *descriptors_unchanged(void)
{
	static struct split_descriptor copy[QUEUE_SIZE];
	const struct split_ring *ring = &net.queues[TRANSMIT].split;
	struct segment segments[2];

	start(0);
	make_frame(&frame, FRAME_MIN);
	segments[0] = (struct segment){&frame.header, net.header_size};
	segments[1] = (struct segment){frame.data, frame.len};
	virtqueue_add(&net.queues[TRANSMIT], segments, 2, 0, &frame);
	memcpy(copy, ring->descriptors, sizeof(copy));
	virtqueue_publish(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS); !virtqueue_pending(&net.queues[TRANSMIT]);)
		if (deadline_passed(d))
			return failed("nothing is sent");
	return memcmp(copy, ring->descriptors, sizeof(copy)) == 0
		       ? NULL
		       : failed("the descriptor table differs");
}

static struct split_descriptor *start_with_table(void)
{
	struct split_descriptor *table;

	start(INDIRECT);
	give_buffers(8, BUFFER_SIZE);
	table = alloc_pages(PAGE_SIZE);
	make_frame(&frame, FRAME_MAX);
	return table;
}

static const char *scattered_chain(void)
{
	struct split_descriptor *descriptors;
	const char *result;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MAX);
	descriptors = net.queues[TRANSMIT].split.descriptors;
	descriptors[QUEUE_SIZE - 1] = describe(&frame.header, net.header_size, SPLIT_NEXT, 7);
	descriptors[7] = describe(frame.data, 100, SPLIT_NEXT, 3);
	descriptors[3] = describe(frame.data + 100, FRAME_MAX - 100, 0, 0);
	result = show(QUEUE_SIZE - 1);
	return result != NULL ? result : expect_echo();
}

static const char *table_write_flag(void)
{
	struct split_descriptor *table = start_with_table();
	const char *result;

	table[0] = describe(&frame.header, net.header_size, SPLIT_NEXT, 1);
	table[1] = describe(frame.data, FRAME_MAX, 0, 0);
	net.queues[TRANSMIT].split.descriptors[0] = describe(table, 2 * sizeof(*table),
							     SPLIT_INDIRECT | SPLIT_WRITE, 0);
	result = show(0);
	return result != NULL ? result : expect_echo();
}

static const char *chain_then_table(void)
{
	struct split_descriptor *table = start_with_table();
	struct split_descriptor *descriptors = net.queues[TRANSMIT].split.descriptors;
	const char *result;

	table[0] = describe(frame.data + 300, FRAME_MAX - 300, 0, 0);
	descriptors[0] = describe(&frame.header, net.header_size, SPLIT_NEXT, 1);
	descriptors[1] = describe(frame.data, 300, SPLIT_NEXT, 2);
	descriptors[2] = describe(table, sizeof(*table), SPLIT_INDIRECT, 0);
	result = show(0);
	return result != NULL ? result : expect_echo();
}

static const char *table_in_any_order(void)
{
	struct split_descriptor *table = start_with_table();
	const char *result;

	table[0] = describe(&frame.header, net.header_size, SPLIT_NEXT, 3);
	table[3] = describe(frame.data, 700, SPLIT_NEXT, 1);
	table[1] = describe(frame.data + 700, FRAME_MAX - 700, 0, 0);
	net.queues[TRANSMIT].split.descriptors[5] = describe(table, 4 * sizeof(*table),
							     SPLIT_INDIRECT, 0);
	result = show(5);
	return result != NULL ? result : expect_echo();
}

static const char *table_of_one(void)
{
	struct split_descriptor *table = start_with_table();
	const char *result;

	/* Header and frame lie together. */
	table[0] = describe(&frame.header, sizeof(frame.header) + FRAME_MAX, 0, 0);
	memcpy((uint8_t *)&frame.header + net.header_size, frame.data, FRAME_MAX);
	table[0].len = net.header_size + FRAME_MAX;
	net.queues[TRANSMIT].split.descriptors[0] = describe(table, sizeof(*table), SPLIT_INDIRECT,
							     0);
	result = show(0);
	if (result == NULL && !receive_echo(&frame, &echo))
		result = failed("the frame does not come back");
	return result;
}

/* --- a driver that breaks the rules: it may break itself only --- */

static const char *survives(void)
{
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (device.transport->status(&device) & VIRTIO_NEEDS_RESET)
			break;
	start(0);
	give_buffers(8, BUFFER_SIZE);
	return exchange_new(FRAME_MAX);
}

static const char *show_bad(struct split_descriptor first)
{
	struct split_ring *ring;

	start(INDIRECT);
	ring = &net.queues[TRANSMIT].split;
	ring->descriptors[0] = first;
	barrier_write();
	ring->available->idx = (uint16_t)(ring->available->idx + 1);
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	return survives();
}

static const char *bad_loop(void)
{
	return show_bad(describe(&frame, 100, SPLIT_NEXT, 0));
}

static const char *bad_next(void)
{
	return show_bad(describe(&frame, 100, SPLIT_NEXT, QUEUE_SIZE));
}

static const char *bad_length(void)
{
	return show_bad(describe(&frame, UINT32_MAX, 0, 0));
}

static const char *bad_table(void)
{
	return show_bad(describe(&frame, 17, SPLIT_INDIRECT, 0));
}

static const char *bad_table_address(void)
{
	return show_bad(describe((void *)(UINTPTR_MAX - 15), 16, SPLIT_INDIRECT, 0));
}

static const char *bad_direction(void)
{
	return show_bad(describe(&frame, 100, SPLIT_WRITE, 0));
}

static const char *bad_head(void)
{
	struct split_ring *ring;

	start(0);
	ring = &net.queues[TRANSMIT].split;
	ring->available->ring[0] = UINT16_MAX;
	barrier_write();
	ring->available->idx = 1;
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	return survives();
}

static const char *bad_index(void)
{
	struct split_ring *ring;

	start(0);
	ring = &net.queues[TRANSMIT].split;
	ring->available->idx = 0x8000;
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	return survives();
}

static const struct test_case cases[] = {
	{"2.7.4.1", "a frame may be in one piece with its header", one_piece, PEER, 0},
	{"2.7.4.1", "a header may be apart from the frame", header_apart, PEER, 0},
	{"2.7.4.1", "a header may share a piece with a part of the frame", header_with_some, PEER,
	 0},
	{"2.7.4.1", "a header may be in pieces of one byte", header_in_bytes, PEER, 0},
	{"2.7.4.1", "a frame may be in pieces of one byte", frame_in_bytes, PEER, 0},
	{"2.7.4.1", "pieces may have any length", odd_pieces, PEER, 0},
	{"2.7.4.1", "pieces may be in an indirect table", indirect_pieces, PEER, INDIRECT},
	{"2.7.4.1", "a receive buffer may have a piece for the header", receive_header_apart, PEER,
	 0},
	{"2.7.4.1", "a receive buffer may have pieces of any length", receive_small_pieces, PEER,
	 0},
	{"2.7.4.1", "a receive buffer may be in an indirect table", receive_indirect, PEER,
	 INDIRECT},
	{"2.7.5.1", "a device-readable buffer is not written to", readable_unchanged, PEER, 0},
	{"2.7.8.2", "the used length is what was written", writable_beyond_len, PEER, 0},
	{"2.7.8.2", "the used length of a device-readable buffer is 0", transmit_len_zero, SPLIT,
	 0},
	{"2.7.8.2", "the contents are there when the buffer is used", lengths, PEER, 0},
	{"2.7", "a queue of 1 descriptor works", queue_of_one, 0, 0},
	{"2.7", "a queue of 2 descriptors works", queue_of_two, 0, 0},
	{"2.7", "a queue of the largest size works", queue_of_max, 0, 0},
	{"2.7", "each of many buffers is used once", many, 0, 0},
	{"2.7", "each of many buffers is used once with EVENT_IDX", many_with_event_idx, 0,
	 EVENT_IDX},
	{"2.7.10.2", "spurious notifications do no harm", spurious_kicks, PEER, 0},
	{"2.7.10.2", "a driver that notifies only when it is asked to is served",
	 kicks_only_when_asked, PEER, EVENT_IDX},
	{"2.7.7.2", "a notification is sent to a driver that wants one", interrupt_on, 0, 0},
	{"2.7.7.2", "no notification is sent to a driver that wants none", interrupt_off, 0, 0},
	{"2.7.7.2", "a notification is sent to a driver that wants one with EVENT_IDX",
	 event_interrupt_on, 0, EVENT_IDX},
	{"2.7.7.2", "no notification is sent to a driver that wants none with EVENT_IDX",
	 event_interrupt_off, 0, EVENT_IDX},
	{"2.7.7.2", "a received frame sends a notification", receive_interrupt, PEER, 0},
	{"2.7.7.2", "each of many notifications arrives", interrupt_each_time, 0, 0},
	{"2.7.7.2", "used_event is ignored without EVENT_IDX", used_event_ignored, SPLIT, 0},
	{"2.7.7.2", "flags is ignored with EVENT_IDX", flags_ignored, SPLIT, EVENT_IDX},
	{"2.7.7.2", "the notification is sent when used_event is reached", used_event_reached,
	 SPLIT, EVENT_IDX},
	{"2.7.10.2", "flags in the used ring is 0 or 1", device_flags, SPLIT, 0},
	{"2.7.10.2", "flags in the used ring is 0 with EVENT_IDX", device_flags_zero, SPLIT,
	 EVENT_IDX},
	{"2.7.6", "the indices go round", indices_wrap, SPLIT, EVENT_IDX},
	{"2.7.5.1", "the descriptor table is not written to", descriptors_unchanged, SPLIT, 0},
	{"2.7.5", "a chain's descriptors may be anywhere in the table", scattered_chain,
	 SPLIT | PEER, 0},
	{"2.7.5.3.2", "WRITE is ignored in what refers to an indirect table", table_write_flag,
	 SPLIT | PEER, INDIRECT},
	{"2.7.5.3.2", "an indirect table may follow chained descriptors", chain_then_table,
	 SPLIT | PEER, INDIRECT},
	{"2.7.5.3", "an indirect table's descriptors may be in any order", table_in_any_order,
	 SPLIT | PEER, INDIRECT},
	{"2.7.5.3", "an indirect table may have one descriptor", table_of_one, SPLIT | PEER,
	 INDIRECT},
	{"2.1.2", "a chain that loops breaks nothing beyond a reset", bad_loop, SPLIT | PEER,
	 INDIRECT},
	{"2.1.2", "a next out of range breaks nothing beyond a reset", bad_next, SPLIT | PEER,
	 INDIRECT},
	{"2.1.2", "a length beyond memory breaks nothing beyond a reset", bad_length, SPLIT | PEER,
	 INDIRECT},
	{"2.1.2", "an indirect table of 17 bytes breaks nothing beyond a reset", bad_table,
	 SPLIT | PEER, INDIRECT},
	{"2.1.2", "an indirect table at the end of the address space breaks nothing beyond a reset",
	 bad_table_address, SPLIT | PEER, INDIRECT},
	{"2.1.2", "a transmit buffer for writing breaks nothing beyond a reset", bad_direction,
	 SPLIT | PEER, INDIRECT},
	{"2.1.2", "a head out of range breaks nothing beyond a reset", bad_head, SPLIT | PEER, 0},
	{"2.1.2", "an index that jumps breaks nothing beyond a reset", bad_index, SPLIT | PEER, 0},
};

const struct test_group split_group = TEST_GROUP(cases);
