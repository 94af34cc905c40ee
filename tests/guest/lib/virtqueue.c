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
	struct virtio_queue_areas areas;

	if (max == 0 || size > max)
		fatal("virtio: queue %u has at most %u descriptors, not %u", index, max, size);
	if (size == 0)
		size = max < DEFAULT_SIZE_MAX ? max : DEFAULT_SIZE_MAX;
	*queue = (struct virtqueue){
		.device = device,
		.ops = &split_ring_ops,
		.index = index,
		.size = size,
		.n_free = size,
		.tokens = alloc_pages(size * sizeof(queue->tokens[0])),
	};
	split_ring_init(&queue->split, size, virtio_has(device, VIRTIO_F_EVENT_IDX),
			virtio_has(device, VIRTIO_F_INDIRECT_DESC));
	split_ring_areas(&queue->split, &areas);
	device->transport->enable_queue(device, index, size, &areas);
}

void virtqueue_publish(struct virtqueue *queue)
{
	if (queue->ops->publish(queue)) {
		queue->statistics.kicks++;
		queue->device->transport->notify(queue->device, queue->index);
	}
}
