/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/packed_ring.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/virtqueue.h"

void packed_ring_init(struct packed_ring *ring, uint16_t size, bool event_index, bool indirect)
{
	struct packed_event *events = alloc_pages(2 * sizeof(*events));

	*ring = (struct packed_ring){
		.descriptors = alloc_pages(size * sizeof(ring->descriptors[0])),
		.driver_event = &events[0],
		.device_event = &events[1],
		.size = size,
		.event_index = event_index,
		.next.wrap = true, /* 2.8.1 */
		.used.wrap = true,
		.free_ids = alloc_pages(size * sizeof(ring->free_ids[0])),
		.n_free_ids = size,
		.lengths = alloc_pages(size * sizeof(ring->lengths[0])),
	};
	if (indirect)
		ring->indirect = alloc_pages(size * sizeof(ring->indirect[0]));
	for (uint16_t i = 0; i < size; i++)
		ring->free_ids[i] = (uint16_t)(size - 1 - i);
}

void packed_ring_areas(const struct packed_ring *ring, struct virtio_queue_areas *areas)
{
	*areas = (struct virtio_queue_areas){
		.descriptors = (uintptr_t)ring->descriptors,
		.driver = (uintptr_t)ring->driver_event,
		.device = (uintptr_t)ring->device_event,
	};
}

uint16_t packed_available_flags(struct packed_position position)
{
	return position.wrap ? PACKED_AVAIL : PACKED_USED;
}

struct packed_position packed_advance(const struct packed_ring *ring,
				      struct packed_position position, unsigned int n)
{
	unsigned int index = position.index + n;

	if (index < ring->size)
		return (struct packed_position){(uint16_t)index, position.wrap};
	return (struct packed_position){(uint16_t)(index - ring->size), !position.wrap};
}

static void put(struct packed_ring *ring, const struct packed_descriptor *descriptor)
{
	volatile struct packed_descriptor *to = &ring->descriptors[ring->next.index];
	uint16_t flags = (uint16_t)(descriptor->flags | packed_available_flags(ring->next));

	to->addr = descriptor->addr;
	to->len = descriptor->len;
	to->id = descriptor->id;
	if (ring->n_hidden++ == 0) {
		ring->hidden_index = ring->next.index;
		ring->hidden_flags = flags;
	} else {
		to->flags = flags;
	}
	ring->next = packed_advance(ring, ring->next, 1);
}

static struct packed_descriptor describe(const struct segment *segment, bool write, uint16_t id)
{
	return (struct packed_descriptor){
		.addr = (uintptr_t)segment->data,
		.len = segment->len,
		.id = id,
		.flags = write ? PACKED_WRITE : 0,
	};
}

static void add_indirect(struct packed_ring *ring, const struct segment *segments,
			 unsigned int n_out, unsigned int n, uint16_t id)
{
	struct packed_descriptor *table = ring->indirect[id];
	struct packed_descriptor descriptor = {
		.addr = (uintptr_t)table,
		.len = (uint32_t)(n * sizeof(table[0])),
		.id = id,
		.flags = PACKED_INDIRECT,
	};

	for (unsigned int i = 0; i < n; i++)
		table[i] = describe(&segments[i], i >= n_out, 0);
	put(ring, &descriptor);
}

static bool add(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		unsigned int n_in, uint16_t *id)
{
	struct packed_ring *ring = &queue->packed;
	unsigned int n = n_out + n_in;
	bool indirect = ring->indirect != NULL && n > 1 && n <= PACKED_INDIRECT_MAX;
	unsigned int slots = indirect ? 1 : n;

	if (queue->n_free < slots)
		return false;
	*id = ring->free_ids[--ring->n_free_ids];
	ring->lengths[*id] = (uint16_t)slots;
	queue->n_free = (uint16_t)(queue->n_free - slots);
	if (indirect) {
		add_indirect(ring, segments, n_out, n, *id);
		return true;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct packed_descriptor descriptor = describe(&segments[i], i >= n_out, *id);

		descriptor.flags |= i + 1 < n ? PACKED_NEXT : 0;
		put(ring, &descriptor);
	}
	return true;
}

/* 2.8.21.3.1: whether the event is among the last @n descriptors before the position @next. */
static bool passed(const struct packed_ring *ring, uint16_t event, unsigned int n)
{
	unsigned int offset = event & (unsigned int)~PACKED_WRAP;
	unsigned int back = ring->next.index - offset;

	/* Before the last wrap: a round further back. */
	if (!!(event & PACKED_WRAP) != ring->next.wrap)
		back += ring->size;
	return back >= 1 && back <= n;
}

static bool publish(struct virtqueue *queue)
{
	struct packed_ring *ring = &queue->packed;
	unsigned int n = ring->n_hidden;
	uint16_t event;

	if (n == 0)
		return false;
	barrier_write(); /* all else before the flags of the first one (2.8.21) */
	ring->descriptors[ring->hidden_index].flags = ring->hidden_flags;
	ring->n_hidden = 0;
	barrier_full(); /* the flags before the look at what the device wants (2.8.21.3.1) */
	switch (ring->device_event->flags & 3) {
	case PACKED_EVENT_DISABLE:
		return false;
	case PACKED_EVENT_DESCRIPTOR:
		barrier_read(); /* 2.8.21.3: the flags before the descriptor that they speak of */
		event = ring->device_event->offset_wrap;
		return !ring->event_index || passed(ring, event, n);
	default:
		return true;
	}
}

/* 2.8.1: used is what has both bits as our wrap counter is. */
static bool pending(const struct virtqueue *queue)
{
	const struct packed_ring *ring = &queue->packed;
	uint16_t flags = ring->descriptors[ring->used.index].flags;

	return !!(flags & PACKED_AVAIL) == ring->used.wrap &&
	       !!(flags & PACKED_USED) == ring->used.wrap;
}

static void peek(const struct virtqueue *queue, uint32_t *id, uint32_t *len)
{
	const volatile struct packed_descriptor *used =
		&queue->packed.descriptors[queue->packed.used.index];

	barrier_read(); /* the flags before the rest */
	*id = used->id;
	*len = used->len;
}

static void release(struct virtqueue *queue, uint16_t id)
{
	struct packed_ring *ring = &queue->packed;

	queue->n_free = (uint16_t)(queue->n_free + ring->lengths[id]);
	ring->used = packed_advance(ring, ring->used, ring->lengths[id]);
	ring->free_ids[ring->n_free_ids++] = id;
}

static void enable_interrupts(struct virtqueue *queue, bool on)
{
	struct packed_ring *ring = &queue->packed;

	if (on && ring->event_index) {
		ring->driver_event->offset_wrap = (uint16_t)(ring->used.index |
							     (ring->used.wrap ? PACKED_WRAP : 0));
		barrier_write(); /* the descriptor before the flags that speak of it */
		ring->driver_event->flags = PACKED_EVENT_DESCRIPTOR;
	} else {
		ring->driver_event->flags = on ? PACKED_EVENT_ENABLE : PACKED_EVENT_DISABLE;
	}
	barrier_full(); /* the wish before the next look at the ring */
}

/* 2.9: where the next buffer will be. */
static uint16_t position(const struct virtqueue *queue)
{
	const struct packed_ring *ring = &queue->packed;

	return (uint16_t)(ring->next.index | (ring->next.wrap ? PACKED_WRAP : 0));
}

const struct ring_ops packed_ring_ops = {
	.add = add,
	.publish = publish,
	.pending = pending,
	.peek = peek,
	.release = release,
	.enable_interrupts = enable_interrupts,
	.position = position,
};
