/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue from the driver's side: buffers go in by add() and publish(), and come back by
 * take(), each exactly once, or the guest ends; with IN_ORDER also in the order in which they went
 * in. Ring formats are behind a table.
 */
#ifndef GUEST_LIB_VIRTQUEUE_H
#define GUEST_LIB_VIRTQUEUE_H

#include "lib/packed_ring.h"
#include "lib/split_ring.h"
#include "lib/virtio.h"

/* A piece of a buffer. */
struct segment {
	void *data;
	uint32_t len;
};

struct virtqueue_statistics {
	uint64_t added; /* buffers */
	uint64_t taken;
	uint64_t kicks;
};

/* A buffer that is with the device. */
struct virtqueue_buffer {
	void *token;	   /* NULL: it isn't */
	uint32_t writable; /* bytes of it that the device may write */
};

struct virtqueue {
	struct virtio_device *device;
	const struct ring_ops *ops;
	uint16_t index;
	uint16_t size;
	uint16_t n_free; /* descriptors */
	struct virtqueue_statistics statistics;
	struct virtqueue_buffer *buffers; /* by ID */
	union {
		struct split_ring split;
		struct packed_ring packed;
	};

	/* IN_ORDER: one used entry may stand for all buffers up to its own (2.7.9, 2.8.8). */
	uint16_t *order; /* IDs of those with the device, a ring of @size; NULL: not negotiated */
	bool in_batch;	 /* of which the last one is */
	uint32_t batch_id;
	uint32_t batch_len;
};

struct ring_ops {
	/* *@id is the buffer's until release(). */
	bool (*add)(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		    unsigned int n_in, uint16_t *id);
	bool (*publish)(struct virtqueue *queue); /* true: the device wants a kick */
	bool (*pending)(const struct virtqueue *queue);
	void (*peek)(const struct virtqueue *queue, uint32_t *id, uint32_t *len); /* if pending() */
	/* Buffer @id is the next that was used. */
	void (*release)(struct virtqueue *queue, uint16_t id);
	void (*enable_interrupts)(struct virtqueue *queue, bool on);
	uint16_t (*position)(const struct virtqueue *queue); /* for NOTIFICATION_DATA */
};

/*
 * Set up and enable queue @index of a device that negotiation is done with. @size 0: what the
 * device has at most, but no more than 256.
 */
void virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint16_t index,
		    uint16_t size);

/*
 * Make a buffer available: @n_out segments that the device reads, then @n_in that it writes.
 * @token is not NULL. False if there is no room.
 */
bool virtqueue_add(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		   unsigned int n_in, void *token);

/* Show the device what was added since, and kick it if it asks for that. */
void virtqueue_publish(struct virtqueue *queue);

/* Kick the device, whether it asks for that or not. */
void virtqueue_kick(struct virtqueue *queue);

/*
 * The next used buffer, with the length that the device says it has written. Of a buffer that
 * IN_ORDER lets the device skip that is all that it may write.
 */
bool virtqueue_take(struct virtqueue *queue, void **token, uint32_t *len);

/* Whether take() would give one. */
static inline bool virtqueue_pending(const struct virtqueue *queue)
{
	return queue->in_batch || queue->ops->pending(queue);
}

/* Ask for an interrupt at the next used buffer, or for none. Then look again: pending(). */
static inline void virtqueue_enable_interrupts(struct virtqueue *queue, bool on)
{
	queue->ops->enable_interrupts(queue, on);
}

#endif
