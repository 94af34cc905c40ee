/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps "window" small frames going round, each that comes back brings the next one out, for
 * "seconds" from the first that came back: a back-end takes its time to start. As fast as rings go,
 * and without interrupts, for benchmarks: what is in the frames is not looked at.
 */
#include "lib/guest.h"
#include "net/net_guest.h"

enum {
	FRAME = 60,
	WINDOW_MAX = 256,
	BATCH = 32,
	TURNS = 1024, /* between two looks at the clock */
	START_MS = 10000,
	AGAIN_MS = 100,
};

struct pump_frame {
	struct net_header header;
	uint8_t frame[FRAME];
};

static struct pump_frame *idle[WINDOW_MAX];
static unsigned int n_idle;

static void make_frames(const struct net *net, unsigned int n)
{
	for (; n_idle < n; n_idle++) {
		idle[n_idle] = alloc_buffer(sizeof(*idle[0]));
		fill_ethernet(
			(struct ethernet_header *)((uint8_t *)idle[n_idle] + net->header_size), net,
			broadcast, ETHERTYPE_TEST);
	}
}

/* Up to @n; returns how many. What was sent is only looked for when it is needed. */
static unsigned int send_frames(struct net *net, unsigned int n)
{
	unsigned int sent = 0;
	struct segment segment = {.len = net->header_size + FRAME};
	void *token;
	uint32_t len;

	while (n_idle < n && virtqueue_take(&net->transmit, &token, &len))
		idle[n_idle++] = token;
	for (; sent < n && n_idle; sent++) {
		segment.data = idle[--n_idle];
		if (!virtqueue_add(&net->transmit, &segment, 1, 0, segment.data))
			fatal("no room to send");
	}
	if (sent)
		virtqueue_publish(&net->transmit);
	return sent;
}

/* The device gets its buffers back a batch at a time. */
static unsigned int take_frames(struct net *net)
{
	static unsigned int unpublished;
	struct segment segment = {.len = net->buffer_size};
	unsigned int n = 0;
	uint32_t len;

	for (; n < BATCH && virtqueue_take(&net->receive, &segment.data, &len); n++) {
		if (!virtqueue_add(&net->receive, &segment, 0, 1, segment.data))
			fatal("no room to receive");
	}
	unpublished += n;
	if (unpublished >= BATCH) {
		virtqueue_publish(&net->receive);
		unpublished = 0;
	}
	return n;
}

void pump(struct net *net)
{
	unsigned int window = (unsigned int)arg_number("window", 128);
	unsigned int turns = 0, owed = 0;
	deadline_t end, again = deadline(0);
	uint64_t start;

	if (window == 0 || window > WINDOW_MAX)
		fatal("window=%u", window);
	make_frames(net, window);
	end = deadline(START_MS);
	/* A switch may lose what comes before it has made the way back. */
	while (!virtqueue_pending(&net->receive)) {
		if (deadline_passed(end))
			fatal("nothing came back");
		if (deadline_passed(again)) {
			send_frames(net, window);
			again = deadline(AGAIN_MS);
		}
	}
	start = clock_ticks();
	end = deadline((unsigned int)arg_number("seconds", 3) * 1000);
	while (++turns % TURNS || !deadline_passed(end)) {
		unsigned int n = take_frames(net);

		counts.received += n;
		owed += n;
		if (owed)
			owed -= send_frames(net, owed);
	}
	/* A deadline is never too soon, but may be late. */
	print("bench packets %lu cycles %lu kicks %lu interrupts 0\n", counts.received,
	      clock_ticks() - start, net->transmit.statistics.kicks);
}
