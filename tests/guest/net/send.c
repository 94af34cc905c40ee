/* SPDX-License-Identifier: Apache-2.0 */
/* Sends test frames in batches: many become available at once, with one kick. */
#include "lib/guest.h"
#include "net/net_guest.h"

enum {
	BATCH_MAX = 128,
};

static struct net_packet packets[BATCH_MAX];
static struct net_packet *idle[BATCH_MAX]; /* those that are not with the device */

static void make_frame(const struct net *net, struct net_packet *packet, uint64_t number)
{
	struct test_frame *frame = first_part(packet);
	uint32_t size = packet->parts[0].len + packet->parts[1].len;

	fill_ethernet(&frame->ethernet, net, broadcast, ETHERTYPE_TEST);
	frame->operation = TEST_DATA;
	write_be32(frame->number, (uint32_t)number);
	for (uint32_t i = 0; i < size - sizeof(*frame); i++)
		frame->payload[i] = (uint8_t)(number + i);
}

/* In two parts, so that each is a chain of three descriptors, or an indirect table of three. */
static void make_packet(struct net_packet *packet, uint32_t size)
{
	uint8_t *frame = alloc_pages(size);

	packet->n_parts = 2;
	packet->parts[0] = (struct segment){.data = frame, .len = size / 2};
	packet->parts[1] = (struct segment){.data = frame + size / 2, .len = size - size / 2};
}

void send_many(struct net *net)
{
	uint64_t count = arg_number("count", 1000);
	uint32_t size = (uint32_t)arg_number("size", 1514);
	uint64_t batch = arg_number("batch", 32);
	uint64_t queued = 0;
	size_t n_idle = 0;

	if (batch == 0 || batch > BATCH_MAX || size < 2 * sizeof(struct test_frame))
		fatal("batch=%lu size=%u", batch, size);
	for (; n_idle < batch; n_idle++) {
		idle[n_idle] = &packets[n_idle];
		make_packet(idle[n_idle], size);
	}
	while (counts.sent < count) {
		struct net_packet *packet;

		for (; n_idle > 0 && queued < count; queued++) {
			packet = idle[n_idle - 1];
			make_frame(net, packet, queued);
			if (!net_send(net, packet))
				break;
			n_idle--;
		}
		net_flush(net);
		for (; (packet = net_sent(net)) != NULL; counts.sent++)
			idle[n_idle++] = packet;
		if (n_idle == 0 && !arg_is("wait", "poll") && !net_wait(net, SILENCE_MS))
			fatal("nothing is sent for %d ms", SILENCE_MS);
	}
}
