/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtqueue.h"

#include "lib/guest.h"

enum {
	DEFAULT_SIZE_MAX = 256,
};

void virtqueue_init(struct virtqueue *queue, struct virtio_device *device, uint16_t index,
		    uint16_t size)
{
	uint16_t max = device->transport->queue_max(device, index);
	bool event_index = virtio_has(device, VIRTIO_F_EVENT_IDX);
	bool indirect = virtio_has(device, VIRTIO_F_INDIRECT_DESC);
	struct virtio_queue_areas areas;

	if (max == 0 || size > max)
		fatal("virtio: queue %u has at most %u descriptors, not %u", index, max, size);
	if (size == 0)
		size = max < DEFAULT_SIZE_MAX ? max : DEFAULT_SIZE_MAX;
	*queue = (struct virtqueue){
		.device = device,
		.index = index,
		.size = size,
		.n_free = size,
		.buffers = alloc_pages(size * sizeof(queue->buffers[0])),
	};
	if (virtio_has(device, VIRTIO_F_IN_ORDER))
		queue->order = alloc_pages(size * sizeof(queue->order[0]));
	if (virtio_has(device, VIRTIO_F_RING_PACKED)) {
		queue->ops = &packed_ring_ops;
		packed_ring_init(&queue->packed, size, event_index, indirect);
		packed_ring_areas(&queue->packed, &areas);
	} else {
		queue->ops = &split_ring_ops;
		split_ring_init(&queue->split, size, event_index, indirect);
		split_ring_areas(&queue->split, &areas);
	}
	device->transport->enable_queue(device, index, size, &areas);
}

bool virtqueue_add(struct virtqueue *queue, const struct segment *segments, unsigned int n_out,
		   unsigned int n_in, void *token)
{
	uint32_t writable = 0;
	uint16_t id;

	if (!queue->ops->add(queue, segments, n_out, n_in, &id))
		return false;
	for (unsigned int i = n_out; i < n_out + n_in; i++)
		writable += segments[i].len;
	queue->buffers[id] = (struct virtqueue_buffer){token, writable};
	if (queue->order != NULL)
		queue->order[queue->statistics.added % queue->size] = id;
	queue->statistics.added++;
	return true;
}

void virtqueue_kick(struct virtqueue *queue)
{
	uint32_t data = queue->index;

	/* 2.9 */
	if (virtio_has(queue->device, VIRTIO_F_NOTIFICATION_DATA))
		data |= (uint32_t)queue->ops->position(queue) << 16;
	queue->statistics.kicks++;
	queue->device->transport->notify(queue->device, queue->index, data);
}

void virtqueue_publish(struct virtqueue *queue)
{
	if (queue->ops->publish(queue))
		virtqueue_kick(queue);
}

/* The ID and the length of the next used buffer, from the ring or from a batch. */
static uint32_t next_used(struct virtqueue *queue, uint32_t *len)
{
	uint32_t id;

	if (!queue->in_batch)
		queue->ops->peek(queue, &queue->batch_id, &queue->batch_len);
	*len = queue->batch_len;
	if (queue->order == NULL)
		return queue->batch_id;
	if (queue->statistics.taken == queue->statistics.added)
		fatal("queue %u: buffer %u came back but is not with the device", queue->index,
		      queue->batch_id);
	id = queue->order[queue->statistics.taken % queue->size];
	queue->in_batch = id != queue->batch_id;
	if (queue->in_batch)
		*len = queue->buffers[id].writable;
	return id;
}

bool virtqueue_take(struct virtqueue *queue, void **token, uint32_t *len)
{
	uint32_t id;

	if (!virtqueue_pending(queue))
		return false;
	id = next_used(queue, len);
	if (id >= queue->size || queue->buffers[id].token == NULL)
		fatal("queue %u: buffer %u came back but is not with the device", queue->index, id);
	*token = queue->buffers[id].token;
	queue->buffers[id].token = NULL;
	queue->ops->release(queue, (uint16_t)id);
	queue->statistics.taken++;
	return true;
}
