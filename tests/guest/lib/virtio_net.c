/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio_net.h"

#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_net_control.h"

enum {
	RECEIVE_QUEUE = 0,
	TRANSMIT_QUEUE = 1,
	RECEIVE_MEMORY = 1 << 20,
};

static uint64_t wanted_features(void)
{
	static const struct {
		const char *name;
		unsigned int bits[2];
	} switches[] = {
		{"mrg", {VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MRG_RXBUF}},
		{"event_idx", {VIRTIO_F_EVENT_IDX, VIRTIO_F_EVENT_IDX}},
		{"indirect", {VIRTIO_F_INDIRECT_DESC, VIRTIO_F_INDIRECT_DESC}},
		{"packed", {VIRTIO_F_RING_PACKED, VIRTIO_F_RING_PACKED}},
		{"in_order", {VIRTIO_F_IN_ORDER, VIRTIO_F_IN_ORDER}},
		{"notification_data", {VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIFICATION_DATA}},
		{"hash", {VIRTIO_NET_F_HASH_REPORT, VIRTIO_NET_F_CTRL_VQ}},
		{"csum", {VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM}},
		{"tso", {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4}},
	};
	uint64_t wanted = VIRTIO_FEATURE(VIRTIO_NET_F_MAC);

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		if (arg_switch(switches[i].name, false))
			wanted |= VIRTIO_FEATURE(switches[i].bits[0]) |
				  VIRTIO_FEATURE(switches[i].bits[1]);
	if (arg_number("pairs", 1) > 1)
		wanted |= VIRTIO_FEATURE(VIRTIO_NET_F_MQ) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ);
	return wanted;
}

static bool may_merge(const struct net *net)
{
	return virtio_has(&net->device, VIRTIO_NET_F_MRG_RXBUF);
}

static void add_receive_buffer(struct net *net, struct virtqueue *queue, void *buffer)
{
	struct segment segment = {.data = buffer, .len = net->buffer_size};

	if (!virtqueue_add(queue, &segment, 0, 1, buffer))
		fatal("virtio-net: no room to give a receive buffer back");
}

/* 5.1.6.3.1: what the largest packet takes, unless buffers can be merged. */
static void fill_receive_queue(struct net *net, struct virtqueue *queue)
{
	uint32_t needed = net->header_size + 1514;

	if (virtio_has(&net->device, VIRTIO_NET_F_GUEST_TSO4))
		needed = net->header_size + NET_PACKET_MAX;
	net->buffer_size = (uint32_t)arg_number("rxbuf", may_merge(net) ? 2048 : needed);
	for (uint32_t n = 0; n < queue->size && n * net->buffer_size < RECEIVE_MEMORY; n++)
		add_receive_buffer(net, queue, alloc_buffer(net->buffer_size));
	virtqueue_publish(queue);
}

uint32_t net_header_size(const struct virtio_device *device)
{
	return virtio_has(device, VIRTIO_NET_F_HASH_REPORT) ? sizeof(struct net_header)
							    : NET_HEADER_SIZE;
}

static void init_pair(struct net *net, unsigned int pair)
{
	struct virtqueue *receive = net_receive_queue(net, pair);
	struct virtqueue *transmit = net_transmit(net, pair);

	virtqueue_init(receive, &net->device, (uint16_t)(2 * pair + RECEIVE_QUEUE), 0);
	virtqueue_init(transmit, &net->device, (uint16_t)(2 * pair + TRANSMIT_QUEUE), 0);
	virtqueue_enable_interrupts(receive, false);
	virtqueue_enable_interrupts(transmit, false);
}

static void init_control(struct net *net)
{
	uint8_t pairs[2];

	net->device.transport->read_config(&net->device, VIRTIO_NET_CONFIG_MAX_PAIRS, pairs,
					   sizeof(pairs));
	virtqueue_init(&net->control, &net->device,
		       net_control_queue(&net->device, (uint16_t)(pairs[0] | pairs[1] << 8)), 0);
	virtqueue_enable_interrupts(&net->control, false);
}

static void switch_pairs_on(struct net *net)
{
	uint16_t n = (uint16_t)net->n_pairs;

	if (net_control(&net->control, NET_CTRL_MQ, NET_CTRL_MQ_VQ_PAIRS_SET, &n, sizeof(n)) !=
	    NET_CTRL_OK)
		fatal("virtio-net: refuses %u queue pairs", n);
}

void net_init_index(struct net *net, unsigned int index)
{
	uint64_t wanted = wanted_features();
	struct virtio_device *device = &net->device;

	if (!virtio_find(VIRTIO_ID_NET, index, device))
		fatal("no network device %u", index);
	if (!virtio_negotiate(device, wanted))
		fatal("virtio-net: refuses features %#lx", device->features);
	if (wanted & ~device->features)
		fatal("virtio-net: does not offer features %#lx", wanted & ~device->features);
	device->transport->read_config(device, VIRTIO_NET_CONFIG_MAC, net->mac, sizeof(net->mac));
	net->header_size = net_header_size(device);
	virtio_connect(device);
	net->interrupts_taken = irq_count(device->irq);
	net->n_pairs = (unsigned int)arg_number("pairs", 1);
	if (net->n_pairs == 0 || net->n_pairs > NET_PAIRS_MAX)
		fatal("pairs=%u", net->n_pairs);
	for (unsigned int i = 0; i < net->n_pairs; i++)
		init_pair(net, i);
	if (net->n_pairs > 1)
		init_control(net);
	virtio_driver_ok(device);
	if (net->n_pairs > 1)
		switch_pairs_on(net);
	for (unsigned int i = 0; i < net->n_pairs; i++)
		fill_receive_queue(net, net_receive_queue(net, i));
}

void net_init(struct net *net)
{
	net_init_index(net, 0);
}

bool net_send(struct net *net, struct net_packet *packet)
{
	struct segment segments[1 + NET_PARTS_MAX];

	segments[0] = (struct segment){.data = &packet->header, .len = net->header_size};
	memcpy(segments + 1, packet->parts, packet->n_parts * sizeof(segments[0]));
	return virtqueue_add(&net->transmit, segments, 1 + packet->n_parts, 0, packet);
}

void net_flush(struct net *net)
{
	virtqueue_publish(&net->transmit);
}

struct net_packet *net_sent(struct net *net)
{
	void *token;
	uint32_t len;

	return virtqueue_take(&net->transmit, &token, &len) ? token : NULL;
}

/* 5.1.6.4.1: one buffer without MRG_RXBUF; with it, all but the last are filled up. */
static unsigned int count_buffers(const struct net *net, const struct net_header *header)
{
	uint16_t n = header->num_buffers;

	if (n == 0 && !may_merge(net) && arg_is("num_buffers", "any"))
		return 1;
	if (n == 0 || n > NET_PARTS_MAX || (n > 1 && !may_merge(net)))
		fatal("virtio-net: num_buffers is %u", n);
	return n;
}

bool net_receive(struct net *net, struct net_packet *packet)
{
	unsigned int n = 1;
	uint32_t skip = net->header_size;

	packet->len = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *buffer;
		uint32_t len;

		if (!virtqueue_take(&net->receive, (void **)&buffer, &len)) {
			if (i == 0)
				return false;
			fatal("virtio-net: num_buffers is %u, but there are only %u", n, i);
		}
		if (i == 0) {
			memcpy(&packet->header, buffer, net->header_size);
			n = count_buffers(net, &packet->header);
		}
		if (len < skip || len > net->buffer_size || (i + 1 < n && len < net->buffer_size))
			fatal("virtio-net: buffer %u of %u has %u bytes of %u", i + 1, n, len,
			      net->buffer_size);
		packet->buffers[i] = buffer;
		packet->parts[i] = (struct segment){.data = buffer + skip, .len = len - skip};
		packet->len += len - skip;
		skip = 0;
	}
	packet->n_parts = n;
	return true;
}

void net_release(struct net *net, const struct net_packet *packet)
{
	for (unsigned int i = 0; i < packet->n_parts; i++)
		add_receive_buffer(net, &net->receive, packet->buffers[i]);
	virtqueue_publish(&net->receive);
}

/*
 * 4.2.5.1: the cause is there when the interrupt is; Linux looks at nothing else. But two rings
 * share one edge, and a look takes the causes of both: so after each there may be one interrupt
 * with none left.
 */
static bool take_causes(struct net *net)
{
	net->interrupts_taken = irq_count(net->device.irq);
	if (net->device.transport->take_causes(&net->device)) {
		net->causes_taken++;
		return true;
	}
	if (++net->causes_missing > net->causes_taken)
		fatal("virtio-net: an interrupt without a cause");
	return false;
}

bool net_wait(struct net *net, unsigned int milliseconds)
{
	bool came = true;

	/*
	 * One that came when nobody waited. QEMU has the line up until the cause is taken, and then
	 * raises no other edge.
	 */
	if (irq_count(net->device.irq) != net->interrupts_taken)
		take_causes(net);
	virtqueue_enable_interrupts(&net->receive, true);
	virtqueue_enable_interrupts(&net->transmit, true);
	while (came && !virtqueue_pending(&net->receive) && !virtqueue_pending(&net->transmit)) {
		came = irq_wait(net->device.irq, net->interrupts_taken, milliseconds);
		if (came && take_causes(net))
			break;
	}
	virtqueue_enable_interrupts(&net->receive, false);
	virtqueue_enable_interrupts(&net->transmit, false);
	return came;
}
