/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For benchmarks (tests/bench): equal frames as fast as they go, and round trips. Times are in
 * clock_ticks(), whose frequency the host knows. What is in received frames is not looked at.
 */
#include "lib/guest.h"
#include "lib/smp.h"
#include "lib/string.h"
#include "net/net_guest.h"

enum {
	TURNS = 64, /* between two looks at the clock */
	LOST_MS = 100,
	SAMPLES_MAX = 200000,
	GSO_HEADERS = 54,
	GSO_SIZE = 1448,
	GSO_CSUM_OFFSET = 16,
	ETHERNET_MAX = 1514,
};

static struct {
	uint64_t cycles;  /* to run for */
	uint64_t packets; /* or this many of a queue; 0: as many as go */
	uint32_t size;	  /* of a frame */
	unsigned int batch;
	bool by_interrupt;
	uint8_t *frame; /* header first; all that is sent is this one */
} job;

/* What each CPU does; a queue pair is one CPU's. */
static struct stream {
	struct virtqueue *queue;
	uint64_t packets;
	uint64_t start, end; /* clock_ticks() */
} streams[NET_PAIRS_MAX];

static struct net *the_net;
static unsigned int n_running;

static void make_frame(const struct net *net)
{
	struct net_header *header;

	job.frame = alloc_pages(net->header_size + job.size);
	fill_ethernet((struct ethernet_header *)(job.frame + net->header_size), net, broadcast,
		      ETHERTYPE_TEST);
	if (job.size <= ETHERNET_MAX)
		return;
	/* A segment for the device to cut; nobody looks whether TCP is in it. */
	header = (struct net_header *)job.frame;
	header->flags = NET_NEEDS_CSUM;
	header->gso_type = NET_GSO_TCPV4;
	header->hdr_len = GSO_HEADERS;
	header->gso_size = GSO_SIZE;
	header->csum_start = GSO_HEADERS - 20;
	header->csum_offset = GSO_CSUM_OFFSET;
	fill_tcp_ip(job.frame + net->header_size, job.size - GSO_HEADERS);
	write_be16(((struct ethernet_header *)(job.frame + net->header_size))->type,
		   ETHERTYPE_IPV4);
}

static void read_job(const struct net *net)
{
	job.cycles = arg_number("cycles", 4000000000ull);
	job.packets = arg_number("packets", 0);
	job.size = (uint32_t)arg_number("size", 60);
	job.batch = (unsigned int)arg_number("batch", 32);
	job.by_interrupt = arg_is("wait", "irq");
	if (job.size < sizeof(struct test_frame) || job.size > NET_PACKET_MAX || job.batch == 0)
		fatal("size=%u batch=%u", job.size, job.batch);
	if (job.by_interrupt && net->n_pairs > 1)
		fatal("wait=irq with %u queue pairs", net->n_pairs);
	make_frame(net);
}

static bool is_done(const struct stream *stream, unsigned int turn)
{
	if (job.packets)
		return stream->packets >= job.packets;
	return turn % TURNS == 0 && clock_ticks() - stream->start >= job.cycles;
}

static void wait_if_empty(const struct stream *stream)
{
	if (job.by_interrupt && !virtqueue_pending(stream->queue) && !net_wait(the_net, SILENCE_MS))
		fatal("nothing happens for %d ms", SILENCE_MS);
}

static void transmit_stream(struct stream *stream)
{
	struct segment segment = {.data = job.frame, .len = the_net->header_size + job.size};
	struct virtqueue *queue = stream->queue;
	void *token;
	uint32_t len;

	stream->start = clock_ticks();
	for (unsigned int turn = 1; !is_done(stream, turn); turn++) {
		unsigned int n = 0;

		while (n < job.batch && virtqueue_add(queue, &segment, 1, 0, job.frame))
			n++;
		if (n)
			virtqueue_publish(queue);
		else
			wait_if_empty(stream);
		for (; virtqueue_take(queue, &token, &len); stream->packets++)
			;
	}
	stream->end = clock_ticks();
}

/* 5.1.6.4: a packet may take several buffers, of which the first says how many. */
static void receive_stream(struct stream *stream)
{
	struct segment segment = {.len = the_net->buffer_size};
	struct virtqueue *queue = stream->queue;
	deadline_t silence = deadline(SILENCE_MS);
	unsigned int unpublished = 0, more = 0;
	uint32_t len;

	while (!virtqueue_pending(queue))
		if (deadline_passed(silence))
			fatal("nothing received for %d ms", SILENCE_MS);
	stream->start = clock_ticks();
	for (unsigned int turn = 1; !is_done(stream, turn); turn++) {
		wait_if_empty(stream);
		for (unsigned int n = 0;
		     n < job.batch && virtqueue_take(queue, &segment.data, &len); n++) {
			if (more == 0) {
				more = ((struct net_header *)segment.data)->num_buffers;
				more += more == 0; /* as QEMU leaves it without MRG_RXBUF */
				stream->packets++;
			}
			more--;
			if (!virtqueue_add(queue, &segment, 0, 1, segment.data))
				fatal("no room to receive");
			unpublished++;
		}
		if (unpublished >= job.batch || !virtqueue_pending(queue)) {
			if (unpublished)
				virtqueue_publish(queue);
			unpublished = 0;
		}
	}
	stream->end = clock_ticks();
}

static void run_stream(struct stream *stream)
{
	if (arg_is("mode", "transmit"))
		transmit_stream(stream);
	else
		receive_stream(stream);
	__atomic_sub_fetch(&n_running, 1, __ATOMIC_RELEASE);
}

static void other_cpu(unsigned int cpu)
{
	run_stream(&streams[cpu]);
	halt();
}

void stream(struct net *net)
{
	bool transmit = arg_is("mode", "transmit");
	uint64_t packets = 0, cycles = 0, kicks = 0;

	the_net = net;
	read_job(net);
	n_running = net->n_pairs;
	for (unsigned int i = 0; i < net->n_pairs; i++)
		streams[i].queue = transmit ? net_transmit(net, i) : net_receive_queue(net, i);
	print("ready\n");
	for (unsigned int i = 1; i < net->n_pairs; i++)
		if (!smp_start(i, other_cpu))
			fatal("CPU %u does not start: a queue pair takes one", i);
	run_stream(&streams[0]);
	while (__atomic_load_n(&n_running, __ATOMIC_ACQUIRE))
		;
	for (unsigned int i = 0; i < net->n_pairs; i++) {
		const struct stream *s = &streams[i];

		packets += s->packets;
		if (s->end - s->start > cycles)
			cycles = s->end - s->start;
		kicks += s->queue->statistics.kicks;
	}
	print("bench packets %lu cycles %lu kicks %lu interrupts %u\n", packets, cycles, kicks,
	      irq_count(net->device.irq));
}

/* Shell's sort: no recursion, and quick enough. */
static void sort(uint32_t *values, size_t n)
{
	for (size_t gap = n / 2; gap > 0; gap = gap > 2 ? gap * 5 / 11 : gap - 1)
		for (size_t i = gap; i < n; i++) {
			uint32_t value = values[i];
			size_t at = i;

			for (; at >= gap && values[at - gap] > value; at -= gap)
				values[at] = values[at - gap];
			values[at] = value;
		}
}

/* Sends one frame and waits for what comes back. False: it was lost. */
static bool round_trip(struct net *net)
{
	struct segment out = {.data = job.frame, .len = net->header_size + job.size};
	struct segment in = {.len = net->buffer_size};
	deadline_t lost = deadline(LOST_MS);
	void *token;
	uint32_t len;

	while (virtqueue_take(&net->transmit, &token, &len))
		;
	if (!virtqueue_add(&net->transmit, &out, 1, 0, job.frame))
		fatal("no room to send");
	virtqueue_publish(&net->transmit);
	while (!virtqueue_take(&net->receive, &in.data, &len)) {
		if (deadline_passed(lost))
			return false;
		if (job.by_interrupt)
			net_wait(net, LOST_MS);
	}
	if (!virtqueue_add(&net->receive, &in, 0, 1, in.data))
		fatal("no room to receive");
	virtqueue_publish(&net->receive);
	return true;
}

void ping(struct net *net)
{
	size_t count = arg_number("count", 10000);
	uint32_t *samples;
	uint64_t lost = 0;

	if (count == 0 || count > SAMPLES_MAX)
		fatal("count=%zu", count);
	samples = alloc_pages(count * sizeof(samples[0]));
	read_job(net);
	print("ready\n");
	for (deadline_t d = deadline(SILENCE_MS); !round_trip(net);)
		if (deadline_passed(d))
			fatal("nothing came back for %d ms", SILENCE_MS);
	for (size_t n = 0; n < count;) {
		uint64_t start = clock_ticks();

		if (round_trip(net))
			samples[n++] = (uint32_t)(clock_ticks() - start);
		else
			lost++;
	}
	sort(samples, count);
	print("bench samples %zu lost %lu median %u p99 %u p999 %u max %u kicks %lu interrupts %u\n",
	      count, lost, samples[count / 2], samples[count * 99 / 100],
	      samples[count * 999 / 1000], samples[count - 1], net->transmit.statistics.kicks,
	      irq_count(net->device.irq));
}
