/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue from the driver's side: buffers go in by add() and publish(), and come back by
 * take(), each exactly once, or the guest ends. Ring formats are behind a table.
 */
#ifndef GUEST_LIB_VIRTQUEUE_H
#define GUEST_LIB_VIRTQUEUE_H

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

struct virtqueue {
	struct virtio_device *device;
	const struct ring_ops *ops;
	uint16_t index;
	uint16_t size;
	uint16_t n_free; /* descriptors */
	struct virtqueue_statistics statistics;
	void **tokens; /* by buffer ID; NULL: not with the device */
	struct split_ring split;
};

struct ring_ops {
	bool (*add)(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		    unsigned int n_in, void *token);
	bool (*publish)(struct virtqueue *queue); /* true: the device wants a kick */
	bool (*take)(struct virtqueue *queue, void **token, uint32_t *len);
	bool (*pending)(const struct virtqueue *queue);
	void (*enable_interrupts)(struct virtqueue *queue, bool on);
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
static inline bool virtqueue_add(struct virtqueue *queue, const struct segment *segments,
				 unsigned int n_out, unsigned int n_in, void *token)
{
	return queue->ops->add(queue, segments, n_out, n_in, token);
}

/* Show the device what was added since, and kick it if it asks for that. */
void virtqueue_publish(struct virtqueue *queue);

/* The next used buffer, with the length that the device says it has written. */
static inline bool virtqueue_take(struct virtqueue *queue, void **token, uint32_t *len)
{
	return queue->ops->take(queue, token, len);
}

/* Whether take() would give one. */
static inline bool virtqueue_pending(const struct virtqueue *queue)
{
	return queue->ops->pending(queue);
}

/* Ask for an interrupt at the next used buffer, or for none. Then look again: pending(). */
static inline void virtqueue_enable_interrupts(struct virtqueue *queue, bool on)
{
	queue->ops->enable_interrupts(queue, on);
}

#endif
