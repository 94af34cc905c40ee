/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues (2.8). */
#include "selftest/selftest.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"

#define EVENT_IDX FEATURE(VIRTIO_F_EVENT_IDX)
#define INDIRECT  FEATURE(VIRTIO_F_INDIRECT_DESC)

static struct frame frame;
static struct echo echo;

static struct packed_ring *transmit_ring(void)
{
	return &net.queues[TRANSMIT].packed;
}

/* Write a descriptor at @position, its flags last. */
static void write_at(struct packed_position position, const void *data, uint32_t len, uint16_t id,
		     uint16_t flags)
{
	volatile struct packed_descriptor *to = &transmit_ring()->descriptors[position.index];

	to->addr = (uintptr_t)data;
	to->len = len;
	to->id = id;
	barrier_write();
	to->flags = (uint16_t)(flags | packed_available_flags(position));
}

static bool is_used(struct packed_position position)
{
	uint16_t flags = transmit_ring()->descriptors[position.index].flags;

	return !!(flags & PACKED_AVAIL) == position.wrap &&
	       !!(flags & PACKED_USED) == position.wrap;
}

static const char *wait_used(struct packed_position position)
{
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS); !is_used(position);)
		if (deadline_passed(d))
			return failed("descriptor %u isn't used; status %#x", position.index,
				      device.transport->status(&device));
	barrier_read();
	return NULL;
}

static const char *expect_echo(void)
{
	if (!receive_echo(&frame, &echo))
		return failed("the frame does not come back");
	if (echo.len != frame.len || memcmp(echo.data + 12, frame.data + 12, frame.len - 12) != 0)
		return failed("the frame comes back with other contents");
	return NULL;
}

static const struct packed_position first = {0, true};

static void start_with_frame(uint64_t features)
{
	start(features);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MAX);
}

/* The frame as a chain of three from @position on; the first descriptor is written last. */
static void write_chain(struct packed_position position, uint16_t id)
{
	const struct packed_ring *ring = transmit_ring();

	write_at(packed_advance(ring, position, 2), frame.data + 500, FRAME_MAX - 500, id, 0);
	write_at(packed_advance(ring, position, 1), frame.data, 500, id, PACKED_NEXT);
	write_at(position, &frame.header, net.header_size, id, PACKED_NEXT);
}

static const char *chain_in_order(void)
{
	const char *result;

	start_with_frame(0);
	write_chain(first, 3);
	result = wait_used(first);
	return result != NULL ? result : expect_echo();
}

static const char *chain_across_the_end(void)
{
	struct packed_position position = first;
	const char *result;

	start_with_frame(0);
	for (unsigned int i = 0; i < QUEUE_SIZE - 1; i++) {
		struct packed_position next = packed_advance(transmit_ring(), position, 1);

		write_at(position, &frame, net.header_size + FRAME_MIN, 0, 0);
		result = wait_used(position);
		if (result != NULL)
			return result;
		position = next;
	}
	make_frame(&frame, FRAME_MAX);
	write_chain(position, 9);
	result = wait_used(position);
	return result != NULL ? result : expect_echo();
}

static const char *one_used_for_a_chain(void)
{
	volatile struct packed_descriptor *descriptors;
	uint16_t flags[2];
	const char *result;

	start_with_frame(0);
	descriptors = transmit_ring()->descriptors;
	write_chain(first, 5);
	flags[0] = descriptors[1].flags;
	flags[1] = descriptors[2].flags;
	result = wait_used(first);
	if (result != NULL)
		return result;
	if (descriptors[1].flags != flags[0] || descriptors[2].flags != flags[1])
		return failed("the others are %#x and %#x, not %#x and %#x", descriptors[1].flags,
			      descriptors[2].flags, flags[0], flags[1]);
	return descriptors[0].id == 5 ? NULL : failed("its ID is %u, not 5", descriptors[0].id);
}

static const char *id_in_the_last(void)
{
	const char *result;

	start_with_frame(0);
	write_chain(first, 21);
	/* Only the last one's counts. */
	transmit_ring()->descriptors[0].flags = 0;
	barrier_write();
	write_at(first, &frame.header, net.header_size, 60, PACKED_NEXT);
	result = wait_used(first);
	if (result == NULL && transmit_ring()->descriptors[0].id != 21)
		result = failed("the ID is %u, not 21", transmit_ring()->descriptors[0].id);
	return result;
}

static const char *not_available(void)
{
	struct packed_position other = {0, false};

	start_with_frame(0);
	write_at(other, &frame, net.header_size + FRAME_MIN, 0, 0);
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (is_used(first))
			return failed("a descriptor of the wrong round is used");
	return NULL;
}

static const char *zero_not_available(void)
{
	start_with_frame(0);
	for (unsigned int i = 0; i < 10; i++)
		virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (transmit_ring()->descriptors[0].flags != 0)
			return failed("flags of a descriptor become %#x",
				      transmit_ring()->descriptors[0].flags);
	return NULL;
}

static const char *stops_at_a_gap(void)
{
	struct packed_position second;
	const char *result;

	start_with_frame(0);
	second = packed_advance(transmit_ring(), first, 1);
	write_at(second, &frame, net.header_size + FRAME_MIN, 1, 0);
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (is_used(second) || is_used(first))
			return failed("a descriptor behind one that isn't available is used");
	write_at(first, &frame, net.header_size + FRAME_MIN, 0, 0);
	result = wait_used(first);
	return result != NULL ? result : wait_used(second);
}

static const char *in_ring_order(void)
{
	static struct frame frames[4];
	struct packed_position position = first;
	const char *result = NULL;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	for (uint16_t i = 0; i < 4; i++) {
		make_frame(&frames[i], FRAME_MIN);
		memcpy((uint8_t *)&frames[i].header + net.header_size, frames[i].data, FRAME_MIN);
	}
	for (uint16_t i = 4; i-- > 0;)
		write_at(packed_advance(transmit_ring(), position, i), &frames[i].header,
			 net.header_size + FRAME_MIN, i, 0);
	result = wait_used(packed_advance(transmit_ring(), position, 3));
	/* receive_echo() passes over what comes before, so that one that came early is missing. */
	for (unsigned int i = 0; i < 4 && result == NULL; i++)
		if (!receive_echo(&frames[i], &echo))
			result = failed("frame %u of 4 is not in its place", i);
	return result;
}

static const char *used_once(void)
{
	volatile struct packed_descriptor *descriptors;
	struct packed_descriptor copy;
	const char *result;

	start_with_frame(0);
	descriptors = transmit_ring()->descriptors;
	write_at(first, &frame, net.header_size + FRAME_MIN, 2, 0);
	result = wait_used(first);
	if (result != NULL)
		return result;
	copy = descriptors[0];
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (descriptors[0].addr != copy.addr || descriptors[0].len != copy.len ||
		    descriptors[0].id != copy.id || descriptors[0].flags != copy.flags)
			return failed("it changes afterwards");
	return NULL;
}

static const char *no_write_flag(void)
{
	const char *result;

	start_with_frame(0);
	write_at(first, &frame, net.header_size + FRAME_MIN, 2, 0);
	result = wait_used(first);
	if (result == NULL && transmit_ring()->descriptors[0].flags & PACKED_WRITE)
		result = failed("flags are %#x", transmit_ring()->descriptors[0].flags);
	return result;
}

static const char *write_flag(void)
{
	struct virtqueue *queue = &net.queues[RECEIVE];

	start_with_frame(0);
	if (!send(&frame))
		return failed("nothing is sent");
	for (deadline_t d = deadline(PATIENCE_MS); !virtqueue_pending(queue);)
		if (deadline_passed(d))
			return failed("nothing is received");
	return queue->packed.descriptors[0].flags & PACKED_WRITE
		       ? NULL
		       : failed("flags are %#x", queue->packed.descriptors[0].flags);
}

/* --- indirect --- */

/* The frame in a table of @n descriptors with @flags and @id in each. */
static const char *show_table(unsigned int n, uint16_t flags, uint16_t id, uint16_t ring_flags)
{
	struct packed_descriptor *table;
	const uint32_t part = FRAME_MAX / (n - 1);
	const char *result;

	start_with_frame(INDIRECT);
	table = alloc_pages(PAGE_SIZE);
	table[0] = (struct packed_descriptor){(uintptr_t)&frame.header, net.header_size, id, flags};
	for (unsigned int i = 1; i < n; i++)
		table[i] = (struct packed_descriptor){
			(uintptr_t)frame.data + (i - 1) * part,
			i + 1 < n ? part : FRAME_MAX - (n - 2) * part,
			id,
			flags,
		};
	write_at(first, table, (uint32_t)(n * sizeof(*table)), 1,
		 (uint16_t)(PACKED_INDIRECT | ring_flags));
	result = wait_used(first);
	return result != NULL ? result : expect_echo();
}

static const char *table_works(void)
{
	return show_table(5, 0, 0, 0);
}

static const char *table_flags_ignored(void)
{
	return show_table(4, PACKED_AVAIL | PACKED_USED | PACKED_NEXT, 0, 0);
}

static const char *table_id_ignored(void)
{
	return show_table(4, 0, 0xffff, 0);
}

static const char *table_write_flag(void)
{
	return show_table(3, 0, 0, PACKED_WRITE);
}

/* --- sizes and rounds --- */

static const char *rounds(uint16_t size, unsigned int n)
{
	static uint8_t data[sizeof(struct net_header) + FRAME_MIN];
	struct segment segments[3] = {
		{data, net.header_size},
		{data + sizeof(struct net_header), 20},
		{data + sizeof(struct net_header) + 20, FRAME_MIN - 20},
	};

	start_sized(0, size);
	segments[0].len = net.header_size;
	for (unsigned int i = 0; i < n; i++) {
		if (!virtqueue_add(&net.queues[TRANSMIT], segments, 3, 0, data))
			return failed("no room for buffer %u", i);
		virtqueue_publish(&net.queues[TRANSMIT]);
		if (!transmit_done())
			return failed("buffer %u isn't used", i);
	}
	return NULL;
}

static const char *size_3(void)
{
	return rounds(3, 20);
}

static const char *size_5(void)
{
	return rounds(5, 50);
}

static const char *size_7(void)
{
	return rounds(7, 100);
}

static const char *size_odd(void)
{
	return rounds(QUEUE_SIZE - 1, 500);
}

/* --- event suppression --- */

static const char *send_one(void)
{
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent");
}

static void wish(uint16_t flags, uint16_t offset_wrap)
{
	transmit_ring()->driver_event->offset_wrap = offset_wrap;
	barrier_write();
	transmit_ring()->driver_event->flags = flags;
	barrier_full();
}

static const char *event_disabled(void)
{
	const char *result;
	uint32_t seen;

	start(EVENT_IDX);
	wish(PACKED_EVENT_DISABLE, PACKED_WRAP);
	seen = irq_count(device.irq);
	result = send_one();
	if (result == NULL && interrupted(seen, QUIET_MS))
		result = failed("an interrupt comes");
	return result;
}

static const char *event_enabled(void)
{
	const char *result;
	uint32_t seen;

	start(EVENT_IDX);
	wish(PACKED_EVENT_ENABLE, 50);
	seen = irq_count(device.irq);
	result = send_one();
	if (result == NULL && !interrupted(seen, PATIENCE_MS))
		result = failed("no interrupt comes");
	return result;
}

/* The first buffer of all, which may be told in any case: nothing is known before it. */
static const char *start_and_send_one(void)
{
	const char *result;

	start(EVENT_IDX);
	wish(PACKED_EVENT_DISABLE, 0);
	result = send_one();
	interrupted(irq_count(device.irq), QUIET_MS);
	return result;
}

static const char *event_at_descriptor(void)
{
	const char *result = start_and_send_one();
	uint32_t seen;

	/* Each frame is two descriptors: the fourth begins at 6. */
	wish(PACKED_EVENT_DESCRIPTOR, 6 | PACKED_WRAP);
	seen = irq_count(device.irq);
	for (unsigned int i = 0; i < 2 && result == NULL; i++)
		result = send_one();
	if (result == NULL && interrupted(seen, QUIET_MS))
		result = failed("an interrupt comes before the descriptor is used");
	if (result == NULL)
		result = send_one();
	if (result == NULL && !interrupted(seen, PATIENCE_MS))
		result = failed("no interrupt comes when the descriptor is used");
	return result;
}

static const char *event_in_next_round(void)
{
	const char *result = start_and_send_one();
	uint32_t seen;

	wish(PACKED_EVENT_DESCRIPTOR, 2); /* without PACKED_WRAP: the second round */
	seen = irq_count(device.irq);
	for (unsigned int i = 0; i < QUEUE_SIZE / 2 && result == NULL; i++)
		result = send_one();
	if (result == NULL && interrupted(seen, QUIET_MS))
		result = failed("an interrupt comes in the wrong round");
	if (result == NULL)
		result = send_one();
	if (result == NULL && !interrupted(seen, PATIENCE_MS))
		result = failed("no interrupt comes in the round that was asked for");
	return result;
}

static const char *device_event(uint64_t features, uint16_t last)
{
	const char *result = NULL;

	start(features);
	for (unsigned int i = 0; i < 100 && result == NULL; i++) {
		uint16_t flags = transmit_ring()->device_event->flags;

		if (flags > last)
			result = failed("flags is %#x", flags);
		else
			result = send_one();
	}
	return result;
}

static const char *device_event_flags(void)
{
	return device_event(0, PACKED_EVENT_DISABLE);
}

static const char *device_event_flags_idx(void)
{
	return device_event(EVENT_IDX, PACKED_EVENT_DESCRIPTOR);
}

/* --- a driver that breaks the rules --- */

static const char *survives(void)
{
	barrier_full();
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (device.transport->status(&device) & VIRTIO_NEEDS_RESET)
			break;
	start_with_frame(0);
	return exchange(&frame, &echo);
}

static const char *bad_endless_chain(void)
{
	struct packed_position position = first;

	start_with_frame(0);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
		write_at(position, &frame, 20, 0, PACKED_NEXT);
		position = packed_advance(transmit_ring(), position, 1);
	}
	return survives();
}

static const char *bad_address(void)
{
	start_with_frame(0);
	write_at(first, (const void *)(UINTPTR_MAX - 10), 100, 0, 0);
	return survives();
}

static const char *bad_id(void)
{
	start_with_frame(0);
	write_at(first, &frame.header, net.header_size + FRAME_MIN, 0xffff, 0);
	return survives();
}

static const char *bad_table_length(void)
{
	start_with_frame(INDIRECT);
	write_at(first, &frame, 15, 0, PACKED_INDIRECT);
	return survives();
}

static const struct test_case cases[] = {
	{"2.8.12", "descriptors are processed in ring order", in_ring_order, PACKED | PEER, 0},
	{"2.8.15", "a descriptor of the wrong round is not used", not_available, PACKED, 0},
	{"2.8.15", "a descriptor of zeroes is not used", zero_not_available, PACKED, 0},
	{"2.8.15", "no descriptor is used behind one that isn't available", stops_at_a_gap, PACKED,
	 0},
	{"2.8.15", "a descriptor doesn't change after it was used", used_once, PACKED, 0},
	{"2.8.18", "a chain's descriptors are used in order", chain_in_order, PACKED | PEER, 0},
	{"2.8.18", "a chain may go across the end of the ring", chain_across_the_end, PACKED | PEER,
	 0},
	{"2.8.6", "one used descriptor stands for a chain", one_used_for_a_chain, PACKED, 0},
	{"2.8.6", "the buffer's ID is in the last descriptor of a chain", id_in_the_last, PACKED,
	 0},
	{"2.8.3", "WRITE is not set for a buffer that was only read", no_write_flag, PACKED, 0},
	{"2.8.3", "WRITE is set for a buffer that was written to", write_flag, PACKED | PEER, 0},
	{"2.8.7", "an indirect table is a chain", table_works, PACKED | PEER, INDIRECT},
	{"2.8.7", "flags other than WRITE are ignored in an indirect table", table_flags_ignored,
	 PACKED | PEER, INDIRECT},
	{"2.8.7", "IDs are ignored in an indirect table", table_id_ignored, PACKED | PEER,
	 INDIRECT},
	{"2.8.7", "WRITE is ignored in what refers to an indirect table", table_write_flag,
	 PACKED | PEER, INDIRECT},
	{"2.8.10.1", "a queue may have 3 descriptors", size_3, PACKED, 0},
	{"2.8.10.1", "a queue may have 5 descriptors", size_5, PACKED, 0},
	{"2.8.10.1", "a queue may have 7 descriptors", size_7, PACKED, 0},
	{"2.8.10.1", "a queue may have 63 descriptors", size_odd, PACKED, 0},
	{"2.8.10", "with events disabled, no notification is sent", event_disabled, PACKED,
	 EVENT_IDX},
	{"2.8.10", "with events enabled, a notification is sent", event_enabled, PACKED, EVENT_IDX},
	{"2.8.10", "a notification is sent when the descriptor is used that was asked for",
	 event_at_descriptor, PACKED, EVENT_IDX},
	{"2.8.10", "a notification waits for the round that was asked for", event_in_next_round,
	 PACKED, EVENT_IDX},
	{"2.8.10", "the device asks for all notifications or none", device_event_flags, PACKED, 0},
	{"2.8.10", "the device's wish is one that is defined", device_event_flags_idx, PACKED,
	 EVENT_IDX},
	{"2.1.2", "a chain without an end breaks nothing beyond a reset", bad_endless_chain,
	 PACKED | PEER, 0},
	{"2.1.2", "an address beyond memory breaks nothing beyond a reset", bad_address,
	 PACKED | PEER, 0},
	{"2.1.2", "an ID out of range breaks nothing beyond a reset", bad_id, PACKED | PEER, 0},
	{"2.1.2", "an indirect table of 15 bytes breaks nothing beyond a reset", bad_table_length,
	 PACKED | PEER, INDIRECT},
};

const struct test_group packed_group = TEST_GROUP(cases);
