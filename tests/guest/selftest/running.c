/* SPDX-License-Identifier: Apache-2.0 */
/* A device that runs, and frames that go to the peer and come back. */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/string.h"

struct virtio_device device;
uint64_t offered;
uint64_t ring_features;
struct running net;

static char result_text[256];
static bool result_is_skip;

const char *failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_text(result_text, sizeof(result_text), format, args);
	va_end(args);
	result_is_skip = false;
	return result_text;
}

const char *skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_text(result_text, sizeof(result_text), format, args);
	va_end(args);
	result_is_skip = true;
	return result_text;
}

bool is_skip(const char *result)
{
	return result == result_text && result_is_skip;
}

bool offers(unsigned int feature_bit)
{
	return offered & FEATURE(feature_bit);
}

/* --- what fatal() says in a case is the case's result --- */

static void *fatal_jump[5];
static const char *volatile fatal_text;

static void catch_fatal(const char *text)
{
	fatal_text = text;
	__builtin_longjmp(fatal_jump, 1);
}

/* Not inlined: __builtin_setjmp's caller has a frame of its own. */
__attribute__((noinline)) const char *run_caught(const char *(*run)(void))
{
	const char *result;

	if (__builtin_setjmp(fatal_jump) != 0) {
		on_fatal = NULL;
		return failed("%s", fatal_text);
	}
	on_fatal = catch_fatal;
	result = run();
	on_fatal = NULL;
	return result;
}

/* --- start --- */

uint8_t negotiate_exactly(uint64_t features)
{
	const struct virtio_transport *transport = device.transport;

	if (!virtio_reset(&device))
		fatal("a reset does not end");
	transport->connect(&device);
	transport->set_status(&device, VIRTIO_ACKNOWLEDGE);
	transport->set_status(&device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	transport->accept(&device, features);
	device.features = features;
	transport->set_status(&device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	return transport->status(&device);
}

void negotiate(uint64_t features)
{
	features |= ring_features | FEATURE(VIRTIO_F_VERSION_1);
	if (!(negotiate_exactly(features) & VIRTIO_FEATURES_OK))
		fatal("features %#lx are refused", features);
	net.header_size = net_header_size(&device);
	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, net.mac, sizeof(net.mac));
}

void set_up_queue(unsigned int queue, uint16_t size)
{
	virtqueue_init(&net.queues[queue], &device, (uint16_t)queue, size);
	virtqueue_enable_interrupts(&net.queues[queue], false);
}

void start_sized(uint64_t features, uint16_t size)
{
	uint16_t pairs = 1;

	negotiate(features);
	set_up_queue(RECEIVE, size);
	set_up_queue(TRANSMIT, size);
	if (features & FEATURE(VIRTIO_NET_F_CTRL_VQ)) {
		device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAX_PAIRS, &pairs, 2);
		virtqueue_init(&net.control, &device, net_control_queue(&device, pairs), 0);
		virtqueue_enable_interrupts(&net.control, false);
	}
	virtio_driver_ok(&device);
}

void start(uint64_t features)
{
	start_sized(features, QUEUE_SIZE);
}

/* A receive buffer knows its size. */
struct buffer {
	uint32_t size;
	uint8_t data[];
};

static void give_buffer(struct buffer *buffer)
{
	struct segment segment = {buffer->data, buffer->size};

	if (!virtqueue_add(&net.queues[RECEIVE], &segment, 0, 1, buffer))
		fatal("no room for a receive buffer");
}

void give_buffers(unsigned int n, uint32_t size)
{
	for (unsigned int i = 0; i < n; i++) {
		struct buffer *buffer = alloc_pages(sizeof(*buffer) + size);

		buffer->size = size;
		give_buffer(buffer);
	}
	virtqueue_publish(&net.queues[RECEIVE]);
}

/* --- frames --- */

void make_frame(struct frame *frame, uint32_t len)
{
	static const uint8_t peer[6] = TEST_MAC;
	static uint32_t numbers;
	struct test_frame *test = (struct test_frame *)frame->data;

	frame->header = (struct net_header){.flags = 0};
	frame->len = len;
	frame->number = ++numbers;
	memcpy(test->ethernet.to, peer, sizeof(peer));
	memcpy(test->ethernet.from, net.mac, sizeof(net.mac));
	write_be16(test->ethernet.type, ETHERTYPE_TEST);
	test->operation = TEST_DATA;
	test->reserved = 0;
	write_be32(test->number, frame->number);
	for (uint32_t i = sizeof(*test); i < len; i++)
		frame->data[i] = (uint8_t)(frame->number + i);
}

bool transmit_done(void)
{
	void *token;
	uint32_t len;

	for (deadline_t d = deadline(PATIENCE_MS);
	     !virtqueue_take(&net.queues[TRANSMIT], &token, &len);)
		if (deadline_passed(d))
			return false;
	return true;
}

bool send(struct frame *frame)
{
	struct segment segments[2] = {
		{&frame->header, net.header_size},
		{frame->data, frame->len},
	};

	if (!virtqueue_add(&net.queues[TRANSMIT], segments, 2, 0, frame))
		fatal("no room to send a frame");
	virtqueue_publish(&net.queues[TRANSMIT]);
	return transmit_done();
}

/* The next packet, in one piece. False if there is none within PATIENCE_MS. */
static bool receive(struct echo *echo, struct buffer *buffers[])
{
	static uint8_t whole[sizeof(struct net_header) + NET_PACKET_MAX];
	uint32_t len = 0;
	unsigned int n = 1;
	deadline_t d = deadline(PATIENCE_MS);

	for (unsigned int i = 0; i < n; i++) {
		while (!virtqueue_take(&net.queues[RECEIVE], (void **)&buffers[i],
				       &echo->used_len[i]))
			if (deadline_passed(d))
				return false;
		if (echo->used_len[i] > buffers[i]->size || echo->used_len[i] > sizeof(whole) - len)
			fatal("%u bytes were written to a buffer of %u", echo->used_len[i],
			      buffers[i]->size);
		memcpy(whole + len, buffers[i]->data, echo->used_len[i]);
		len += echo->used_len[i];
		if (i == 0) {
			memcpy(&echo->header, whole, net.header_size);
			if (virtio_has(&device, VIRTIO_NET_F_MRG_RXBUF))
				n = echo->header.num_buffers;
			if (len < net.header_size || n == 0 || n > NET_PARTS_MAX)
				fatal("%u bytes in the first of %u buffers", len, n);
		}
	}
	echo->n_buffers = n;
	echo->data = whole + net.header_size;
	echo->len = len - net.header_size;
	return true;
}

static bool is_echo(const struct frame *frame, const struct echo *echo)
{
	const struct test_frame *test = (const struct test_frame *)echo->data;
	uint8_t number[4];

	if (echo->len < sizeof(*test))
		return false;
	/* Behind a VLAN tag it is 4 bytes later. */
	memcpy(number, read_be16(test->ethernet.type) == 0x8100 ? test->number + 4 : test->number,
	       4);
	return read_be32(number) == frame->number;
}

/* Up to the echo of @last; *@came: that of @other came before it. */
static bool receive_until(const struct frame *last, const struct frame *other, bool *came,
			  struct echo *echo)
{
	struct buffer *buffers[NET_PARTS_MAX];
	bool found = false;

	while (!found && receive(echo, buffers)) {
		found = is_echo(last, echo);
		if (other != NULL && is_echo(other, echo))
			*came = true;
		for (unsigned int i = 0; i < echo->n_buffers; i++)
			give_buffer(buffers[i]);
		virtqueue_publish(&net.queues[RECEIVE]);
	}
	return found;
}

bool receive_echo(const struct frame *frame, struct echo *echo)
{
	return receive_until(frame, NULL, NULL, echo);
}

bool comes_back(struct frame *frame)
{
	static struct frame sentinel;
	struct echo echo;
	bool came = false;

	make_frame(&sentinel, FRAME_MIN);
	if (!send(frame) || !send(&sentinel))
		fatal("nothing is sent");
	if (!receive_until(&sentinel, frame, &came, &echo))
		fatal("a frame to the device's own address does not come back");
	return came;
}

const char *exchange(struct frame *frame, struct echo *echo)
{
	const uint32_t addresses = 12;

	if (!send(frame))
		return failed("a frame of %u bytes is not sent", frame->len);
	if (!receive_echo(frame, echo))
		return failed("a frame of %u bytes does not come back", frame->len);
	if (echo->len != frame->len)
		return failed("%u bytes come back of %u", echo->len, frame->len);
	if (memcmp(echo->data + addresses, frame->data + addresses, frame->len - addresses) != 0)
		return failed("a frame of %u bytes comes back with other contents", frame->len);
	return NULL;
}

const char *exchange_new(uint32_t len)
{
	static struct frame frame;
	struct echo echo;

	make_frame(&frame, len);
	return exchange(&frame, &echo);
}

/* --- waiting --- */

bool stays_unused(struct virtqueue *queue)
{
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (virtqueue_pending(queue))
			return false;
	return true;
}

bool interrupted(uint32_t seen, unsigned int milliseconds)
{
	return irq_wait(device.irq, seen, milliseconds);
}

/* --- configuration --- */

uint32_t read_config32(size_t offset)
{
	uint32_t value;

	device.transport->read_config(&device, offset, &value, sizeof(value));
	return value;
}

uint16_t read_config16(size_t offset)
{
	uint16_t value;

	device.transport->read_config(&device, offset, &value, sizeof(value));
	return value;
}

uint8_t read_config8(size_t offset)
{
	uint8_t value;

	device.transport->read_config(&device, offset, &value, sizeof(value));
	return value;
}
