/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what a VMM's timeline tells of: writes a mark, says something, starts the drivers of "nets"
 * network devices, sends a packet by each, and receives one, if two of them are one's other end.
 * Then writes "marks" more marks, from 1000 on, and ends: with end=panic by pvpanic, with end=spin
 * not at all.
 */
#include "lib/frame.h"
#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_net.h"
#include "x86_64/ring0.h"

enum {
	PORT_GUEST_MARK = 0xf8,
	PORT_PVPANIC = 0x505,
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

static uint64_t write_marks(uint64_t n, uint64_t unused, uint64_t unused2)
{
	(void)unused;
	(void)unused2;
	for (uint64_t i = 0; i < n; i++)
		__asm__ volatile("outl %0, %1"
				 :
				 : "a"((uint32_t)(FIRST_OF_MANY + i)), "Nd"(PORT_GUEST_MARK));
	return 0;
}

int main(void)
{
	unsigned int n = (unsigned int)arg_number("nets", 0);

	port_write(PORT_GUEST_MARK, 1, 7);
	print("hello\n");
	if (n > NETS_MAX)
		fatal("nets=%u", n);
	for (unsigned int i = 0; i < n; i++)
		net_init_index(&nets[i], i);
	for (unsigned int i = 0; i < n; i++)
		send(&nets[i]);
	for (unsigned int i = 0; i < n && n == NETS_MAX; i++)
		receive(&nets[i]);
	ring0_call(write_marks, arg_number("marks", 0), 0, 0);
	print("done\n");
	if (arg_is("end", "panic"))
		port_write(PORT_PVPANIC, 1, 1);
	while (arg_is("end", "spin"))
		__asm__ volatile("pause");
	return STATUS_PASS;
}
