/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what a VMM's timeline tells of: writes a mark, says something, starts the drivers of "nets"
 * network devices, sends a packet by each, and receives one, if two of them are one's other end.
 * Then writes "marks" more marks, from 1000 on, and ends: with end=panic by pvpanic, with end=spin
 * not at all.
 */
#include "lib/frame.h"
#include "lib/guest.h"
#include "lib/platform.h"
#include "lib/string.h"
#include "lib/virtio_net.h"

enum {
	NETS_MAX = 2,
	PATIENCE_MS = 10000,
	FIRST_OF_MANY = 1000,
};

static struct net nets[NETS_MAX];

static void send(struct net *net)
{
	static struct test_frame frame = {.operation = TEST_READY};
	static struct net_packet packet = {
		.n_parts = 1,
		.parts = {{.data = &frame, .len = sizeof(frame)}},
	};

	memset(frame.ethernet.to, 0xff, sizeof(frame.ethernet.to));
	memcpy(frame.ethernet.from, net->mac, sizeof(frame.ethernet.from));
	write_be16(frame.ethernet.type, ETHERTYPE_TEST);
	if (!net_send(net, &packet))
		fatal("no room to send a packet");
	net_flush(net);
	for (deadline_t d = deadline(PATIENCE_MS); net_sent(net) != &packet;)
		if (deadline_passed(d))
			fatal("a packet is not sent");
}

static void receive(struct net *net)
{
	static struct net_packet packet;

	for (deadline_t d = deadline(PATIENCE_MS); !net_receive(net, &packet);)
		if (deadline_passed(d))
			fatal("no packet comes");
	net_release(net, &packet);
}

int main(void)
{
	unsigned int n = (unsigned int)arg_number("nets", 0);

	platform_guest_mark(7, 1);
	print("hello\n");
	if (n > NETS_MAX)
		fatal("nets=%u", n);
	for (unsigned int i = 0; i < n; i++)
		net_init_index(&nets[i], i);
	for (unsigned int i = 0; i < n; i++)
		send(&nets[i]);
	for (unsigned int i = 0; i < n && n == NETS_MAX; i++)
		receive(&nets[i]);
	for (uint64_t i = 0; i < arg_number("marks", 0); i++)
		platform_guest_mark((uint32_t)(FIRST_OF_MANY + i), 4);
	print("done\n");
	if (arg_is("end", "panic"))
		platform_pvpanic(PVPANIC_PANICKED);
	while (arg_is("end", "spin"))
		;
	return STATUS_PASS;
}
