/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device at work. Parameters: those of net_init(), and
 *	mode=reply	answer ARP, ICMP echo requests and UDP for "ip"
 *	mode=bounce	send back what comes from the test's address, and check its contents; with
 *			lossy=on some of it may have been lost on its way
 *	mode=send	send "count" test frames of "size" bytes, "batch" of them at a time
 *	mode=tso	send one TCP segment of "size" bytes, to be cut into "mss" bytes
 *	mode=pump	keep "window" frames going round for "seconds"
 *	mode=transmit	send frames of "size" bytes, "batch" of them at a time, for so many TSC
 *			"cycles" or until "packets" are sent; each queue pair is a CPU's own
 *	mode=receive	the same for what comes
 *	mode=ping	"count" frames of "size" bytes, each after the last one came back
 *			these three: with wait=irq by interrupt, else they look at the rings
 *	wait=poll	look at the rings instead of waiting for interrupts
 * TEST_REST has reply and bounce stand still. They end when a TEST_STOP frame arrives, or nothing
 * for 5 seconds.
 */
#include "net/net_guest.h"

#include "lib/guest.h"
#include "lib/string.h"

const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct counts counts;

void fill_ethernet(struct ethernet_header *header, const struct net *net, const uint8_t to[6],
		   unsigned int type)
{
	memcpy(header->to, to, sizeof(header->to));
	memcpy(header->from, net->mac, sizeof(header->from));
	write_be16(header->type, type);
}

void send_and_wait(struct net *net, struct net_packet *packet)
{
	if (!net_send(net, packet))
		fatal("no room to send a packet of %u parts", packet->n_parts);
	net_flush(net);
	for (deadline_t d = deadline(SILENCE_MS); net_sent(net) != packet;)
		if (deadline_passed(d))
			fatal("a packet is not sent for %d ms", SILENCE_MS);
	counts.sent++;
}

static void send_ready(struct net *net)
{
	static struct test_frame frame = {.operation = TEST_READY};
	static struct net_packet packet = {
		.n_parts = 1,
		.parts = {{.data = &frame, .len = sizeof(frame)}},
	};

	fill_ethernet(&frame.ethernet, net, broadcast, ETHERTYPE_TEST);
	send_and_wait(net, &packet);
}

static bool is_command(const struct net_packet *packet, uint8_t operation)
{
	const struct test_frame *frame = first_part(packet);

	return packet->parts[0].len >= sizeof(*frame) &&
	       read_be16(frame->ethernet.type) == ETHERTYPE_TEST && frame->operation == operation;
}

/* Look at nothing for so long as the frame's number says. */
static void rest(const struct net_packet *packet)
{
	const struct test_frame *frame = first_part(packet);

	for (deadline_t d = deadline(read_be32(frame->number)); !deadline_passed(d);)
		;
}

static void serve(struct net *net, bool (*handle)(struct net *net, struct net_packet *packet))
{
	bool poll = arg_is("wait", "poll");
	deadline_t silence = deadline(SILENCE_MS);
	static struct net_packet packet;

	send_ready(net);
	print("ready\n");
	for (;;) {
		if (net_receive(net, &packet)) {
			if (is_command(&packet, TEST_STOP))
				return;
			if (is_command(&packet, TEST_REST))
				rest(&packet);
			else if (handle(net, &packet))
				counts.received++;
			else
				counts.noise++;
			net_release(net, &packet);
			silence = deadline(SILENCE_MS);
		} else if (poll ? deadline_passed(silence) : !net_wait(net, SILENCE_MS)) {
			fatal("nothing received for %d ms", SILENCE_MS);
		}
	}
}

int main(void)
{
	static struct net net;

	net_init(&net);
	print("features %#lx\n", net.device.features);
	if (arg_is("mode", "reply"))
		serve(&net, reply);
	else if (arg_is("mode", "bounce"))
		serve(&net, bounce);
	else if (arg_is("mode", "send"))
		send_many(&net);
	else if (arg_is("mode", "tso"))
		send_large(&net);
	else if (arg_is("mode", "pump"))
		pump(&net);
	else if (arg_is("mode", "transmit") || arg_is("mode", "receive"))
		stream(&net);
	else if (arg_is("mode", "ping"))
		ping(&net);
	else
		fatal("mode is none of reply, bounce, send, tso, pump, transmit, receive, ping");
	print("received %lu sent %lu noise %lu kicks %lu interrupts %u\n", counts.received,
	      counts.sent, counts.noise, net.transmit.statistics.kicks, irq_count(net.device.irq));
	check(counts.wrong == 0, "contents and order: %lu of %lu packets wrong", counts.wrong,
	      counts.received);
	return check_done();
}
