/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the writes is the specification's. The back-end may be killed between any two of
 * them; then x86 has made the earlier ones visible, so it is enough that the compiler keeps them.
 */
#include "tests/vhost_user_backend/inflight.h"

#include <linux/virtio_ring.h>

#include "tests/vhost_user_backend/message.h"

struct split_state {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct split_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct split_state desc[];
};

struct packed_state {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct packed_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[7];
	struct packed_state desc[];
};

_Static_assert(sizeof(struct split_state) == 16, "DescStateSplit");
_Static_assert(sizeof(struct split_region) == 16, "QueueRegionSplit");
_Static_assert(sizeof(struct packed_state) == 32, "DescStatePacked");
_Static_assert(sizeof(struct packed_region) == 32, "QueueRegionPacked");

enum {
	WRAP = 1 << VRING_PACKED_EVENT_F_WRAP_CTR, /* in a position */
	FLAG_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
	FLAG_USED = 1 << VRING_PACKED_DESC_F_USED,
};

enum { /* packed_state.inflight: anything but 0 is in flight */
	TAKEN = 1,
	RETURNED = 2, /* in the batch that is about to be published */
};

static void in_order(void)
{
	__asm__ volatile("" ::: "memory");
}

size_t inflight_bytes(bool packed, uint16_t size)
{
	return packed ? sizeof(struct packed_region) + size * sizeof(struct packed_state)
		      : sizeof(struct split_region) + size * sizeof(struct split_state);
}

static void *region(const struct inflight *inflight, unsigned int index)
{
	return inflight->map + inflight->offset +
	       index * inflight_bytes(inflight->packed, inflight->queue_size);
}

/* --- split --- */

static void split_end_last_batch(struct split_region *at, uint16_t used, uint16_t size)
{
	uint16_t batch = (uint16_t)(used - at->used_idx), i = at->last_batch_head;

	/* More than one batch: others have served the ring since, and nothing of it may be left. */
	for (; batch <= size && batch > 0; batch--) {
		if (i >= at->desc_num)
			violation("inflight: the last batch is no list");
		at->desc[i].inflight = 0;
		i = at->desc[i].next;
	}
	at->used_idx = used;
}

/* What is in flight must be what the ring says: we serve in order. Returns how much it is. */
static uint16_t split_verify(const struct split_region *at, const struct ring *ring, uint16_t used)
{
	const struct vring_avail *avail = ring->driver;
	uint64_t previous = 0;
	uint16_t n = 0;

	for (uint16_t i = 0; i < at->desc_num; i++)
		n = (uint16_t)(n + (at->desc[i].inflight != 0));
	for (uint16_t i = 0; i < n; i++) {
		uint16_t head = avail->ring[(uint16_t)(used + i) % ring->state.size];

		if (head >= at->desc_num || !at->desc[head].inflight ||
		    at->desc[head].counter < previous)
			violation("inflight: the region doesn't belong to this ring");
		previous = at->desc[head].counter;
	}
	return n;
}

static uint16_t split_restore(struct inflight *inflight, struct split_region *at, struct ring *ring)
{
	uint16_t used = ring->state.next_used, n;

	if (!at->version) {
		at->desc_num = inflight->queue_size;
		at->used_idx = used;
		at->version = 1;
		return 0;
	}
	if (at->desc_num != inflight->queue_size)
		violation("inflight: the region has another size");
	split_end_last_batch(at, used, ring->state.size);
	n = split_verify(at, ring, used);
	for (uint16_t i = 0; i < at->desc_num; i++)
		if (at->desc[i].counter >= inflight->counter)
			inflight->counter = at->desc[i].counter + 1;
	if ((uint16_t)(ring->state.next_avail - used) > n)
		violation("inflight: SET_VRING_BASE %u is after what is in flight (%u from %u on)",
			  ring->state.next_avail, n, used);
	/* Ours is to serve it again; the available ring still has it. */
	ring->state.next_avail = used;
	return n;
}

/* --- packed --- */

static void packed_begin(struct inflight *inflight, struct packed_region *at, uint16_t used)
{
	at->desc_num = inflight->queue_size;
	for (uint16_t i = 0; i < at->desc_num; i++)
		at->desc[i] = (struct packed_state){.next = (uint16_t)(i + 1)};
	at->free_head = at->old_free_head = 0;
	at->used_idx = at->old_used_idx = used & (uint16_t)~WRAP;
	at->used_wrap_counter = at->old_used_wrap_counter = !!(used & WRAP);
	in_order();
	at->version = 1;
}

/* Whether the descriptor that was to be the next used one is still available. */
static bool packed_not_returned(const struct packed_region *at, const struct ring *ring)
{
	const struct vring_packed_desc *d = (struct vring_packed_desc *)ring->desc +
					    at->old_used_idx;
	uint16_t available = at->old_used_wrap_counter ? FLAG_AVAIL : FLAG_USED;

	return (d->flags & (FLAG_AVAIL | FLAG_USED)) == available;
}

/* The entry of the chain that was taken first of those in flight, or desc_num. */
static uint16_t packed_oldest(const struct packed_region *at, uint8_t inflight)
{
	uint16_t oldest = at->desc_num;

	for (uint16_t i = 0; i < at->desc_num; i++)
		if (at->desc[i].inflight && at->desc[i].inflight <= inflight &&
		    (oldest == at->desc_num || at->desc[i].counter < at->desc[oldest].counter))
			oldest = i;
	return oldest;
}

/*
 * Put what is in flight back into the ring, in order: where the last batch was cut short, all but
 * its first descriptor may look used already. Returns how many chains it is.
 */
static uint16_t packed_resubmit(struct packed_region *at, const struct ring *ring, uint16_t to)
{
	struct vring_packed_desc *table = ring->desc;
	uint16_t n = 0, e, slot = to & (uint16_t)~WRAP;

	for (; (e = packed_oldest(at, RETURNED)) < at->desc_num; n++) {
		uint16_t i = e;

		at->desc[e].inflight = 0;
		for (uint16_t k = 0; k < at->desc[e].num; k++, i = at->desc[i].next) {
			if (i >= at->desc_num)
				violation("inflight: a chain is no list");
			table[slot].addr = at->desc[i].addr;
			table[slot].len = at->desc[i].len;
			table[slot].id = at->desc[i].id;
			in_order();
			table[slot].flags = at->desc[i].flags;
			slot = (uint16_t)(slot + 1) % ring->state.size;
		}
	}
	return n;
}

static uint16_t packed_restore(struct inflight *inflight, struct packed_region *at,
			       struct ring *ring)
{
	uint16_t n, steps = 0, used;

	if (!at->version) {
		packed_begin(inflight, at, ring->state.next_used);
		return 0;
	}
	if (at->desc_num != inflight->queue_size || at->old_used_idx >= ring->state.size ||
	    at->used_idx >= ring->state.size)
		violation("inflight: the region has another size");
	if (at->used_idx == at->old_used_idx &&
	    at->used_wrap_counter == at->old_used_wrap_counter) {
		at->free_head = at->old_free_head;
	} else if (packed_not_returned(at, ring)) {
		at->free_head = at->old_free_head;
		at->used_idx = at->old_used_idx;
		at->used_wrap_counter = at->old_used_wrap_counter;
	}
	for (uint16_t i = at->free_head; i < at->desc_num; i = at->desc[i].next) {
		at->desc[i].inflight = 0;
		if (steps++ > at->desc_num)
			violation("inflight: the free list is no list");
	}
	used = (uint16_t)(at->used_idx | (at->used_wrap_counter ? WRAP : 0));
	if (used != ring->state.next_used)
		violation("inflight: SET_VRING_BASE has the used index %#x, the region %#x",
			  ring->state.next_used, used);
	n = packed_resubmit(at, ring, used);
	ring->state.next_avail = used;
	packed_begin(inflight, at, used);
	return n;
}

static void packed_take(struct inflight *inflight, struct packed_region *at,
			const struct ring *ring, const struct ring_chain *chain)
{
	const struct vring_packed_desc *table = ring->desc;
	unsigned int first = chain->position & (unsigned int)~WRAP;
	struct packed_state *head = &at->desc[at->old_free_head];

	head->num = 0;
	head->counter = inflight->counter++;
	head->inflight = TAKEN;
	for (uint16_t i = 0; i < chain->slots; i++) {
		const struct vring_packed_desc *d = &table[(first + i) % ring->state.size];
		struct packed_state *entry = &at->desc[at->free_head];

		if (i + 1 == chain->slots)
			head->last = at->free_head;
		head->num++;
		entry->addr = d->addr;
		entry->len = d->len;
		entry->flags = d->flags;
		entry->id = d->id;
		at->free_head = entry->next;
	}
	in_order();
	at->old_free_head = at->free_head;
}

static void packed_return(struct packed_region *at, const struct ring *ring)
{
	uint16_t e = packed_oldest(at, TAKEN);

	at->desc[e].inflight = RETURNED;
	at->desc[at->desc[e].last].next = at->free_head;
	in_order();
	at->free_head = e;
	at->used_idx = ring->used_at & (uint16_t)~WRAP;
	at->used_wrap_counter = !!(ring->used_at & WRAP);
}

static void packed_published(struct packed_region *at)
{
	for (uint16_t i = 0; i < at->desc_num; i++)
		if (at->desc[i].inflight == RETURNED)
			at->desc[i].inflight = 0;
	in_order();
	at->old_free_head = at->free_head;
	at->old_used_idx = at->used_idx;
	at->old_used_wrap_counter = at->used_wrap_counter;
}

/* --- either --- */

void inflight_restore(struct inflight *inflight, unsigned int index, struct ring *ring)
{
	uint16_t n;

	if (!inflight->map)
		return;
	if (index >= inflight->num_queues || ring->state.size > inflight->queue_size)
		violation("inflight: ring %u has %u descriptors, the region is for %u rings of %u",
			  index, ring->state.size, inflight->num_queues, inflight->queue_size);
	n = inflight->packed ? packed_restore(inflight, region(inflight, index), ring)
			     : split_restore(inflight, region(inflight, index), ring);
	say("ring %u: %u in flight are served again", index, n);
}

void inflight_take(struct inflight *inflight, unsigned int index, const struct ring *ring,
		   const struct ring_chain *chains, unsigned int n)
{
	for (unsigned int i = 0; inflight->map && i < n; i++) {
		struct split_region *at = region(inflight, index);

		if (inflight->packed) {
			packed_take(inflight, region(inflight, index), ring, &chains[i]);
		} else {
			at->desc[chains[i].id].counter = inflight->counter++;
			in_order();
			at->desc[chains[i].id].inflight = 1;
		}
	}
}

void inflight_return(struct inflight *inflight, unsigned int index, const struct ring *ring,
		     const struct ring_chain *chains, unsigned int n)
{
	for (unsigned int i = 0; inflight->map && i < n; i++) {
		struct split_region *at = region(inflight, index);

		if (inflight->packed) {
			packed_return(region(inflight, index), ring);
		} else {
			at->desc[chains[i].id].next = at->last_batch_head;
			in_order();
			at->last_batch_head = chains[i].id;
		}
	}
	in_order();
}

void inflight_published(struct inflight *inflight, unsigned int index, const struct ring *ring,
			const struct ring_chain *chains, unsigned int n)
{
	struct split_region *at;

	if (!inflight->map)
		return;
	at = region(inflight, index);
	if (inflight->packed) {
		packed_published(region(inflight, index));
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		at->desc[chains[i].id].inflight = 0;
	in_order();
	at->used_idx = ring->state.next_used;
}

void inflight_untake(struct inflight *inflight, unsigned int index, const struct ring_chain *chain)
{
	struct split_region *split;
	struct packed_region *at;
	uint16_t e;

	if (!inflight->map)
		return;
	split = region(inflight, index);
	at = region(inflight, index);
	if (!inflight->packed) {
		split->desc[chain->id].inflight = 0;
		return;
	}
	e = packed_oldest(at, TAKEN);
	at->desc[e].inflight = 0;
	at->desc[at->desc[e].last].next = at->free_head;
	at->free_head = at->old_free_head = e;
}
