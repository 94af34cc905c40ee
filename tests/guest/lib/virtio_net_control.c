/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio_net_control.h"

#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_net.h"

enum {
	DATA_MAX = 1024,
};

uint16_t net_control_queue(const struct virtio_device *device, uint16_t max_pairs)
{
	if (!virtio_has(device, VIRTIO_NET_F_MQ) && !virtio_has(device, VIRTIO_NET_F_RSS))
		return 2;
	return (uint16_t)(2 * max_pairs);
}

uint8_t net_control_get(struct virtqueue *control, enum net_control_class class,
			enum net_control_command command, const void *data, size_t len,
			void *result, size_t result_len)
{
	/* In pieces, as Linux does it. Static, so that a late device writes to nobody's memory. */
	static struct {
		uint8_t class, command;
		uint8_t data[DATA_MAX];
		uint8_t result[DATA_MAX];
		uint8_t ack;
	} request;
	struct segment segments[4] = {{&request, 2}};
	unsigned int n_out = 1, n_in = 0;
	void *token;
	uint32_t written;

	if (len > DATA_MAX || result_len > DATA_MAX)
		fatal("control queue: %zu and %zu bytes are too many", len, result_len);
	request.class = (uint8_t) class;
	request.command = (uint8_t)command;
	request.ack = NET_CTRL_SILENCE;
	memcpy(request.data, data, len);
	if (len != 0)
		segments[n_out++] = (struct segment){request.data, (uint32_t)len};
	if (result_len != 0)
		segments[n_out + n_in++] = (struct segment){request.result, (uint32_t)result_len};
	segments[n_out + n_in++] = (struct segment){&request.ack, 1};
	if (!virtqueue_add(control, segments, n_out, n_in, &request))
		return NET_CTRL_SILENCE;
	virtqueue_publish(control);
	for (deadline_t d = deadline(1000); !virtqueue_take(control, &token, &written);)
		if (deadline_passed(d))
			return NET_CTRL_SILENCE;
	memcpy(result, request.result, result_len);
	return *(volatile uint8_t *)&request.ack;
}

uint8_t net_control_rx(struct virtqueue *control, enum net_control_command command, bool on)
{
	uint8_t data = on;

	return net_control(control, NET_CTRL_RX, command, &data, sizeof(data));
}

static size_t put(uint8_t *to, size_t at, const void *data, size_t len)
{
	if (at + len > DATA_MAX)
		fatal("control queue: a command of more than %u bytes", DATA_MAX);
	memcpy(to + at, data, len);
	return at + len;
}

uint8_t net_control_mac_table(struct virtqueue *control, const uint8_t (*unicast)[6],
			      uint32_t n_unicast, const uint8_t (*multicast)[6],
			      uint32_t n_multicast)
{
	uint8_t data[DATA_MAX];
	size_t len = put(data, 0, &n_unicast, sizeof(n_unicast));

	len = put(data, len, unicast, n_unicast * sizeof(unicast[0]));
	len = put(data, len, &n_multicast, sizeof(n_multicast));
	len = put(data, len, multicast, n_multicast * sizeof(multicast[0]));
	return net_control(control, NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, data, len);
}

uint8_t net_control_rss(struct virtqueue *control, enum net_control_command command,
			const struct net_rss *rss)
{
	static const uint16_t reserved[4];
	uint16_t mask = (uint16_t)(rss->table_size - 1);
	uint8_t data[DATA_MAX];
	size_t len = put(data, 0, &rss->hash_types, sizeof(rss->hash_types));

	if (command == NET_CTRL_MQ_HASH_CONFIG) {
		len = put(data, len, reserved, sizeof(reserved));
	} else {
		len = put(data, len, &mask, sizeof(mask));
		len = put(data, len, &rss->unclassified_queue, sizeof(rss->unclassified_queue));
		len = put(data, len, rss->table, rss->table_size * sizeof(rss->table[0]));
		len = put(data, len, &rss->max_tx_queue, sizeof(rss->max_tx_queue));
	}
	len = put(data, len, &rss->key_size, sizeof(rss->key_size));
	len = put(data, len, rss->key, rss->key_size);
	return net_control(control, NET_CTRL_MQ, command, data, len);
}
