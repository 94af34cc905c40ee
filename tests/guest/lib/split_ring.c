/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/split_ring.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/virtqueue.h"

void split_ring_init(struct split_ring *ring, uint16_t size, bool event_index, bool indirect)
{
	*ring = (struct split_ring){
		.descriptors = alloc_pages(size * sizeof(ring->descriptors[0])),
		.available = alloc_pages(sizeof(*ring->available) + (size + 1u) * 2),
		.used = alloc_pages(sizeof(*ring->used) + size * sizeof(ring->used->ring[0]) + 2),
		.size = size,
		.event_index = event_index,
		.free_last = (uint16_t)(size - 1),
	};
	ring->used_event = &ring->available->ring[size];
	ring->avail_event = (volatile uint16_t *)&ring->used->ring[size];
	if (indirect)
		ring->indirect = alloc_pages(size * sizeof(ring->indirect[0]));
	for (uint16_t i = 0; i < size; i++)
		ring->descriptors[i].next = (uint16_t)(i + 1);
}

void split_ring_areas(const struct split_ring *ring, struct virtio_queue_areas *areas)
{
	*areas = (struct virtio_queue_areas){
		.descriptors = (uintptr_t)ring->descriptors,
		.driver = (uintptr_t)ring->available,
		.device = (uintptr_t)ring->used,
	};
}

/* Fill @n descriptors that follow each other by their next, from @at on. Returns the last one. */
static struct split_descriptor *fill(struct split_descriptor *table, uint16_t at,
				     const struct segment *segments, unsigned int n_out,
				     unsigned int n)
{
	struct split_descriptor *descriptor = NULL;

	for (unsigned int i = 0; i < n; i++) {
		descriptor = &table[at];
		descriptor->addr = (uintptr_t)segments[i].data;
		descriptor->len = segments[i].len;
		descriptor->flags = (uint16_t)((i < n_out ? 0 : SPLIT_WRITE) |
					       (i + 1 < n ? SPLIT_NEXT : 0));
		at = descriptor->next;
	}
	return descriptor;
}

static void add_chain(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		      unsigned int n)
{
	struct split_ring *ring = &queue->split;
	const struct split_descriptor *last = fill(ring->descriptors, ring->free, segments, n_out,
						   n);

	ring->free = last->next;
	queue->n_free = (uint16_t)(queue->n_free - n);
}

static void add_indirect(struct virtqueue *queue, const struct segment *segments,
			 unsigned int n_out, unsigned int n)
{
	struct split_ring *ring = &queue->split;
	struct split_descriptor *head = &ring->descriptors[ring->free];
	struct split_descriptor *table = ring->indirect[ring->free];

	for (uint16_t i = 0; i < n; i++)
		table[i].next = (uint16_t)(i + 1);
	fill(table, 0, segments, n_out, n);
	head->addr = (uintptr_t)table;
	head->len = (uint32_t)(n * sizeof(table[0]));
	head->flags = SPLIT_INDIRECT;
	ring->free = head->next;
	queue->n_free--;
}

static bool add(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		unsigned int n_in, uint16_t *id)
{
	struct split_ring *ring = &queue->split;
	unsigned int n = n_out + n_in;
	uint16_t head = ring->free;
	bool indirect = ring->indirect != NULL && n > 1 && n <= SPLIT_INDIRECT_MAX;

	if (queue->n_free < (indirect ? 1 : n))
		return false;
	if (indirect)
		add_indirect(queue, segments, n_out, n);
	else
		add_chain(queue, segments, n_out, n);
	ring->available->ring[ring->available_idx++ % ring->size] = head;
	*id = head;
	return true;
}

/* 2.7.10: true if @event is among the indices that were passed on the way from @from to @to. */
static bool passed(uint16_t event, uint16_t from, uint16_t to)
{
	return (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

static bool publish(struct virtqueue *queue)
{
	struct split_ring *ring = &queue->split;
	uint16_t before = ring->available->idx;

	barrier_write(); /* descriptors and ring before the index (2.7.13.3.1) */
	ring->available->idx = ring->available_idx;
	barrier_full(); /* the index before the look at what the device wants (2.7.13.4.1) */
	if (ring->event_index)
		return passed(*ring->avail_event, before, ring->available_idx);
	return before != ring->available_idx && !(ring->used->flags & SPLIT_NO_NOTIFY);
}

/* Behind the other free ones: so with IN_ORDER descriptors are used in ring order (2.7.9). */
static void free_chain(struct virtqueue *queue, uint16_t head)
{
	struct split_ring *ring = &queue->split;
	uint16_t last = head;

	if (queue->n_free++ == 0)
		ring->free = head;
	else
		ring->descriptors[ring->free_last].next = head;
	for (; ring->descriptors[last].flags & SPLIT_NEXT; last = ring->descriptors[last].next)
		queue->n_free++;
	ring->free_last = last;
}

static bool pending(const struct virtqueue *queue)
{
	return queue->split.used->idx != queue->split.used_idx;
}

static void peek(const struct virtqueue *queue, uint32_t *id, uint32_t *len)
{
	const struct split_ring *ring = &queue->split;
	uint16_t used = (uint16_t)(ring->used->idx - ring->used_idx);

	if (used > queue->statistics.added - queue->statistics.taken)
		fatal("queue %u: used idx %u is ahead of what was made available", queue->index,
		      ring->used->idx);
	barrier_read(); /* the index before the ring */
	*id = ring->used->ring[ring->used_idx % ring->size].id;
	*len = ring->used->ring[ring->used_idx % ring->size].len;
}

static void release(struct virtqueue *queue, uint16_t id)
{
	free_chain(queue, id);
	queue->split.used_idx++;
}

static void enable_interrupts(struct virtqueue *queue, bool on)
{
	struct split_ring *ring = &queue->split;

	ring->available->flags = on || ring->event_index ? 0 : SPLIT_NO_INTERRUPT;
	/* 2.7.7.1. An index that was just passed will not be reached for a whole round. */
	*ring->used_event = (uint16_t)(on ? ring->used_idx : ring->used_idx - 1);
	barrier_full(); /* the wish before the next look at the used ring */
}

/* 2.9: where the next head will be. */
static uint16_t position(const struct virtqueue *queue)
{
	return queue->split.available_idx;
}

const struct ring_ops split_ring_ops = {
	.add = add,
	.publish = publish,
	.pending = pending,
	.peek = peek,
	.release = release,
	.enable_interrupts = enable_interrupts,
	.position = position,
};
