/* SPDX-License-Identifier: Apache-2.0 */
/* Sends packets back as they came, header included: what was one large segment stays one. */
#include "lib/guest.h"
#include "lib/string.h"
#include "net/net_guest.h"

/*
 * Test frames are numbered from 0; what follows is payload[i] = number + i, over all parts. On a
 * lossy way numbers may be missing.
 */
static bool is_intact(const struct net_packet *packet, bool lossy)
{
	const struct test_frame *frame = first_part(packet);
	uint32_t number = read_be32(frame->number);
	uint32_t skip = sizeof(*frame);
	uint8_t expected = (uint8_t)number;

	for (unsigned int i = 0; i < packet->n_parts; i++) {
		const uint8_t *data = packet->parts[i].data;

		for (uint32_t k = skip; k < packet->parts[i].len; k++)
			if (data[k] != expected++)
				return false;
		skip = 0;
	}
	return lossy || number == (uint32_t)counts.received;
}

/* What the other end of the test sends has this source address; the rest is its kernel's. */
static bool is_from_test(const struct ethernet_header *ethernet)
{
	static const uint8_t test_mac[6] = TEST_MAC;

	return memcmp(ethernet->from, test_mac, sizeof(test_mac)) == 0;
}

bool bounce(struct net *net, struct net_packet *packet)
{
	struct ethernet_header *ethernet = first_part(packet);

	if (packet->parts[0].len < sizeof(struct test_frame) || !is_from_test(ethernet))
		return false;
	if (read_be16(ethernet->type) == ETHERTYPE_TEST)
		counts.wrong += !is_intact(packet, arg_switch("lossy", false));
	memcpy(ethernet->to, ethernet->from, sizeof(ethernet->to));
	memcpy(ethernet->from, net->mac, sizeof(ethernet->from));
	packet->header.flags &= NET_NEEDS_CSUM; /* 5.1.6.2.1: no other bit is the driver's to set */
	packet->header.num_buffers = 0;
	send_and_wait(net, packet);
	return true;
}
