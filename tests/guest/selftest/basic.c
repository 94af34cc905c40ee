/* SPDX-License-Identifier: Apache-2.0 */
/* Basic facilities (2.1 to 2.6, 2.9) and reserved features (6). */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	ROUNDS = 50,
	FIRST_UNDEFINED = 42, /* features of devices to come: up to 49, and from 64 on */
	LAST_UNDEFINED = 49,
};

#define BEYOND_MEMORY 0x4000000000ull /* 256 GiB: no test machine has as much */

static struct frame frame;

/* A frame in the transmit queue, without waiting for anything. */
static void queue_frame(void)
{
	static struct segment segments[2];

	make_frame(&frame, FRAME_MIN);
	segments[0] = (struct segment){&frame.header, net.header_size};
	segments[1] = (struct segment){frame.data, frame.len};
	if (!virtqueue_add(&net.queues[TRANSMIT], segments, 2, 0, &frame))
		fatal("no room to send a frame");
	net.queues[TRANSMIT].ops->publish(&net.queues[TRANSMIT]);
}

/* A transmit buffer that no device can read. */
static void queue_bad_buffer(void)
{
	struct segment segment = {(void *)BEYOND_MEMORY, 100};

	if (!virtqueue_add(&net.queues[TRANSMIT], &segment, 1, 0, &frame))
		fatal("no room to send a frame");
	virtqueue_publish(&net.queues[TRANSMIT]);
	virtqueue_kick(&net.queues[TRANSMIT]);
}

static bool wait_for_needs_reset(void)
{
	for (deadline_t d = deadline(PATIENCE_MS);
	     !(device.transport->status(&device) & VIRTIO_NEEDS_RESET);)
		if (deadline_passed(d))
			return false;
	return true;
}

/* --- 2.1 --- */

static const char *status_steps(void)
{
	static const uint8_t steps[] = {VIRTIO_ACKNOWLEDGE, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER};

	for (size_t i = 0; i < sizeof(steps); i++) {
		uint8_t status;

		device.transport->set_status(&device, steps[i]);
		status = device.transport->status(&device);
		if (status != steps[i])
			return failed("status is %#x after %#x was written", status, steps[i]);
	}
	return NULL;
}

static const char *status_driver_ok(void)
{
	uint8_t wanted = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK;
	uint8_t status;

	start(0);
	status = device.transport->status(&device);
	return status == wanted ? NULL : failed("status is %#x, not %#x", status, wanted);
}

static const char *status_failed(void)
{
	device.transport->set_status(&device, VIRTIO_ACKNOWLEDGE);
	device.transport->set_status(&device, VIRTIO_ACKNOWLEDGE | VIRTIO_FAILED);
	if (!(device.transport->status(&device) & VIRTIO_FAILED))
		return failed("FAILED doesn't stay");
	if (!virtio_reset(&device))
		return failed("a reset doesn't end it");
	start(0);
	return NULL;
}

static const char *nothing_before_driver_ok(void)
{
	negotiate(0);
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	queue_frame();
	virtqueue_kick(&net.queues[TRANSMIT]);
	return stays_unused(&net.queues[TRANSMIT]) ? NULL : failed("a buffer is used");
}

static const char *no_interrupt_before_driver_ok(void)
{
	uint32_t seen = irq_count(device.irq);

	negotiate(0);
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	queue_frame();
	virtqueue_kick(&net.queues[TRANSMIT]);
	return interrupted(seen, QUIET_MS) ? failed("an interrupt comes") : NULL;
}

static const char *goes_on_after_driver_ok(void)
{
	negotiate(0);
	set_up_queue(RECEIVE, QUEUE_SIZE);
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	queue_frame();
	virtio_driver_ok(&device);
	virtqueue_kick(&net.queues[TRANSMIT]);
	return transmit_done() ? NULL : failed("it isn't used");
}

static const char *error_needs_reset(void)
{
	start(0);
	queue_bad_buffer();
	return wait_for_needs_reset() ? NULL : failed("it isn't set");
}

static const char *error_notifies(void)
{
	uint32_t causes = 0;
	uint32_t seen;

	start(0);
	seen = irq_count(device.irq);
	queue_bad_buffer();
	if (!wait_for_needs_reset())
		return skip("DEVICE_NEEDS_RESET is not set");
	if (!interrupted(seen, PATIENCE_MS))
		return failed("no interrupt comes");
	for (deadline_t d = deadline(PATIENCE_MS); !(causes & VIRTIO_CAUSE_CONFIG);) {
		causes |= device.transport->take_causes(&device);
		if (deadline_passed(d))
			return failed("the interrupt's cause is %#x", causes);
	}
	return NULL;
}

static const char *error_is_over_after_reset(void)
{
	start(0);
	queue_bad_buffer();
	wait_for_needs_reset();
	start(0);
	make_frame(&frame, FRAME_MIN);
	if (device.transport->status(&device) & VIRTIO_NEEDS_RESET)
		return failed("DEVICE_NEEDS_RESET is still set");
	return send(&frame) ? NULL : failed("nothing is sent");
}

/* --- 2.2 and 6 --- */

static const char *undefined_features(void)
{
	for (unsigned int bit = FIRST_UNDEFINED; bit <= LAST_UNDEFINED; bit++)
		if (offers(bit))
			return failed("feature %u is offered", bit);
	return NULL;
}

static const char *legacy_features(void)
{
	/* 6.3: NOTIFY_ON_EMPTY, ANY_LAYOUT; and 30, which never meant anything. */
	static const unsigned int bits[] = {24, 27, 30};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (offers(bits[i]))
			return failed("feature %u is offered", bits[i]);
	return NULL;
}

/* 5.1.3.1, and 2.2 in general: which feature is nothing without one of which others. */
static const struct {
	unsigned int bit;
	uint64_t any;
} dependencies[] = {
	{VIRTIO_NET_F_GUEST_TSO4, FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_TSO6, FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_ECN,
	 FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6)},
	{VIRTIO_NET_F_GUEST_UFO, FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_USO4, FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_USO6, FEATURE(VIRTIO_NET_F_GUEST_CSUM)},
	{VIRTIO_NET_F_HOST_TSO4, FEATURE(VIRTIO_NET_F_CSUM)},
	{VIRTIO_NET_F_HOST_TSO6, FEATURE(VIRTIO_NET_F_CSUM)},
	{VIRTIO_NET_F_HOST_ECN, FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6)},
	{VIRTIO_NET_F_HOST_UFO, FEATURE(VIRTIO_NET_F_CSUM)},
	{VIRTIO_NET_F_HOST_USO, FEATURE(VIRTIO_NET_F_CSUM)},
	{VIRTIO_NET_F_CTRL_RX, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_VLAN, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_GUEST_ANNOUNCE, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_MQ, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_MAC_ADDR, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_NOTF_COAL, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_VQ_NOTF_COAL, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_RSS, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{VIRTIO_NET_F_RSC_EXT, FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6)},
	{VIRTIO_NET_F_HASH_TUNNEL, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
};

enum {
	N_DEPENDENCIES = sizeof(dependencies) / sizeof(dependencies[0]),
};

static const char *dependencies_offered(void)
{
	for (size_t i = 0; i < N_DEPENDENCIES; i++)
		if (offers(dependencies[i].bit) && !(offered & dependencies[i].any))
			return failed("feature %u is offered without what it requires",
				      dependencies[i].bit);
	return NULL;
}

/* @features and of what is offered all that they require. */
static uint64_t with_dependencies(uint64_t features)
{
	uint64_t before;

	do {
		before = features;
		for (size_t i = 0; i < N_DEPENDENCIES; i++)
			if (features & FEATURE(dependencies[i].bit))
				features |= dependencies[i].any & offered;
	} while (features != before);
	return features;
}

static const char *version_1_offered(void)
{
	return offers(VIRTIO_F_VERSION_1) ? NULL : failed("it is not offered");
}

static const char *expect_accepted(uint64_t features)
{
	features |= FEATURE(VIRTIO_F_VERSION_1);
	if (negotiate_exactly(features) & VIRTIO_FEATURES_OK)
		return NULL;
	return failed("features %#lx are refused", features);
}

static const char *version_1_alone(void)
{
	return expect_accepted(0);
}

static const char *all_features(void)
{
	return expect_accepted(offered);
}

static const char *each_feature(void)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *result = NULL;

		if (offers(bit))
			result = expect_accepted(with_dependencies(FEATURE(bit)));
		if (result != NULL)
			return result;
	}
	return NULL;
}

static const char *all_features_but_one(void)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t features = offered & ~FEATURE(bit);
		const char *result = NULL;

		for (size_t round = 0; round < N_DEPENDENCIES; round++)
			for (size_t i = 0; i < N_DEPENDENCIES; i++)
				if (!(features & dependencies[i].any))
					features &= ~FEATURE(dependencies[i].bit);
		if (offers(bit) && bit != VIRTIO_F_VERSION_1)
			result = expect_accepted(features);
		if (result != NULL)
			return result;
	}
	return NULL;
}

static const char *not_offered_refused(void)
{
	uint64_t features = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(FIRST_UNDEFINED);

	if (negotiate_exactly(features) & VIRTIO_FEATURES_OK)
		return failed("feature %u is accepted", FIRST_UNDEFINED);
	return NULL;
}

static const char *dependency_missing(void)
{
	for (size_t i = 0; i < N_DEPENDENCIES; i++) {
		uint64_t features = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(dependencies[i].bit);

		if (offers(dependencies[i].bit) && negotiate_exactly(features) & VIRTIO_FEATURES_OK)
			return failed("feature %u is accepted without what it requires",
				      dependencies[i].bit);
	}
	return NULL;
}

static const char *without_version_1(void)
{
	/* It may refuse, and it may go on as a device without legacy interface can. */
	negotiate_exactly(0);
	virtio_driver_ok(&device);
	start(0);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent afterwards");
}

static const char *negotiated_again(void)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const char *result = expect_accepted(offered);

		if (result != NULL)
			return result;
	}
	return NULL;
}

static const char *refused_then_accepted(void)
{
	not_offered_refused();
	return expect_accepted(offered);
}

static const char *sr_iov(void)
{
	/* The extended capabilities, which would say it, begin where ports don't reach. */
	return offers(VIRTIO_F_SR_IOV) ? failed("it is offered") : NULL;
}

static const char *in_order(void)
{
	static uint8_t data[QUEUE_SIZE][NET_HEADER_SIZE + FRAME_MIN];

	/* The library verifies the order. */
	start(FEATURE(VIRTIO_F_IN_ORDER));
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
			struct segment segment = {data[i], sizeof(data[i])};

			if (!virtqueue_add(&net.queues[TRANSMIT], &segment, 1, 0, data[i]))
				return failed("no room for frame %u of %u", i, QUEUE_SIZE);
		}
		virtqueue_publish(&net.queues[TRANSMIT]);
		for (unsigned int i = 0; i < QUEUE_SIZE; i++)
			if (!transmit_done())
				return failed("frame %u of %u isn't used", i, QUEUE_SIZE);
	}
	return NULL;
}

static const char *in_order_receive(void)
{
	const char *result = NULL;

	start(FEATURE(VIRTIO_F_IN_ORDER));
	give_buffers(QUEUE_SIZE, BUFFER_SIZE);
	for (unsigned int i = 0; i < QUEUE_SIZE && result == NULL; i++)
		result = exchange_new(FRAME_MIN + i);
	return result;
}

/* --- 2.4 --- */

static const char *reset_reads_zero(void)
{
	start(0);
	device.transport->set_status(&device, 0);
	for (deadline_t d = deadline(PATIENCE_MS); device.transport->status(&device) != 0;)
		if (deadline_passed(d))
			return failed("status is %#x", device.transport->status(&device));
	return NULL;
}

static const char *reset_in_each_state(void)
{
	static const uint8_t states[] = {
		0,
		VIRTIO_ACKNOWLEDGE,
		VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER,
		VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK,
		VIRTIO_FAILED,
	};

	for (size_t i = 0; i < sizeof(states); i++) {
		device.transport->set_status(&device, states[i]);
		if (!virtio_reset(&device))
			return failed("with status %#x it doesn't end", states[i]);
	}
	start(0);
	return NULL;
}

static uint32_t sum(const volatile void *data, size_t len)
{
	const volatile uint8_t *bytes = data;
	uint32_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value * 31 + bytes[i];
	return value;
}

static uint32_t sum_receive_ring(void)
{
	const struct virtqueue *queue = &net.queues[RECEIVE];

	if (virtio_has(&device, VIRTIO_F_RING_PACKED))
		return sum(queue->packed.descriptors, 16 * QUEUE_SIZE);
	return sum(queue->split.used, 4 + 8 * QUEUE_SIZE);
}

static const char *nothing_after_reset(void)
{
	uint32_t before;

	start(0);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MIN);
	send(&frame);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	before = sum_receive_ring();
	for (deadline_t d = deadline(QUIET_MS); !deadline_passed(d);)
		if (sum_receive_ring() != before)
			return failed("the ring changes");
	return NULL;
}

static const char *no_interrupt_after_reset(void)
{
	uint32_t seen;

	start(0);
	virtqueue_enable_interrupts(&net.queues[RECEIVE], true);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MIN);
	send(&frame);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	/* What was on its way when it ended has come when the status was read. */
	seen = irq_count(device.irq);
	return interrupted(seen, QUIET_MS) ? failed("an interrupt comes") : NULL;
}

static const char *kicks_after_reset(void)
{
	start(0);
	queue_frame();
	virtio_reset(&device);
	for (unsigned int i = 0; i < ROUNDS; i++)
		virtqueue_kick(&net.queues[TRANSMIT]);
	start(0);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("it doesn't work afterwards");
}

static const char *queues_off_after_reset(void)
{
	start(0);
	virtio_reset(&device);
	for (uint16_t queue = 0; queue < 2; queue++)
		if (device.transport->queue_enabled(&device, queue))
			return failed("queue %u is still enabled", queue);
	return NULL;
}

static const char *reset_under_traffic(void)
{
	size_t mark = alloc_mark();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		start(0);
		give_buffers(8, BUFFER_SIZE);
		for (unsigned int k = 0; k < i % 8; k++)
			queue_frame();
		virtqueue_kick(&net.queues[TRANSMIT]);
		if (!virtio_reset(&device))
			return failed("reset %u doesn't end", i);
		alloc_release(mark);
	}
	start(0);
	give_buffers(8, BUFFER_SIZE);
	return exchange_new(FRAME_MAX);
}

/* --- 2.5 --- */

static const char *config_before_features_ok(void)
{
	uint8_t early[6], late[6];

	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, early, sizeof(early));
	start(FEATURE(VIRTIO_NET_F_MAC));
	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, late, sizeof(late));
	return memcmp(early, late, sizeof(late)) == 0 ? NULL : failed("mac differs afterwards");
}

static const char *conditional_before_features_ok(void)
{
	static const struct {
		unsigned int bit;
		size_t offset;
	} fields[] = {
		{VIRTIO_NET_F_STATUS, VIRTIO_NET_CONFIG_STATUS},
		{VIRTIO_NET_F_MQ, VIRTIO_NET_CONFIG_MAX_PAIRS},
		{VIRTIO_NET_F_MTU, VIRTIO_NET_CONFIG_MTU},
		{VIRTIO_NET_F_RSS, VIRTIO_NET_CONFIG_RSS_MAX_TABLE},
	};
	uint16_t early[4];

	for (size_t i = 0; i < 4; i++)
		early[i] = read_config16(fields[i].offset);
	start(offered & (FEATURE(VIRTIO_NET_F_STATUS) | FEATURE(VIRTIO_NET_F_MTU)));
	for (size_t i = 0; i < 4; i++)
		if (offers(fields[i].bit) &&
		    (early[i] == 0 || read_config16(fields[i].offset) != early[i]))
			return failed("the field at %zu was %#x early and is %#x", fields[i].offset,
				      early[i], read_config16(fields[i].offset));
	return NULL;
}

static const char *config_generation_stays(void)
{
	uint32_t before = device.transport->config_generation(&device);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		read_config16(VIRTIO_NET_CONFIG_STATUS);
		if (device.transport->config_generation(&device) != before)
			return failed("it changes after %u reads", i + 1);
	}
	return NULL;
}

static const char *config_by_bytes(void)
{
	uint8_t mac[6];
	uint32_t word = read_config32(VIRTIO_NET_CONFIG_MAC);
	uint16_t half = read_config16(VIRTIO_NET_CONFIG_MAC + 4);

	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, mac, sizeof(mac));
	return memcmp(mac, &word, 4) == 0 && memcmp(mac + 4, &half, 2) == 0
		       ? NULL
		       : failed("bytes and words differ");
}

/* --- 2.6.1 --- */

#define RING_RESET FEATURE(VIRTIO_F_RING_RESET)

static const char *reset_transmit_queue(void)
{
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("the queue's reset doesn't end");
	return NULL;
}

static const char *queue_reset_stops(void)
{
	const char *result;

	start(RING_RESET);
	result = reset_transmit_queue();
	queue_frame();
	virtqueue_kick(&net.queues[TRANSMIT]);
	if (result == NULL && !stays_unused(&net.queues[TRANSMIT]))
		result = failed("a buffer is used");
	return result;
}

static const char *queue_reset_silent(void)
{
	const char *result;
	uint32_t seen;

	start(RING_RESET);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	queue_frame();
	virtqueue_kick(&net.queues[TRANSMIT]);
	result = reset_transmit_queue();
	seen = irq_count(device.irq);
	queue_frame();
	virtqueue_kick(&net.queues[TRANSMIT]);
	if (result == NULL && interrupted(seen, QUIET_MS))
		result = failed("an interrupt comes");
	return result;
}

static const char *queue_reset_positions(void)
{
	const char *result;

	start(RING_RESET);
	for (unsigned int i = 0; i < 5; i++) {
		make_frame(&frame, FRAME_MIN);
		if (!send(&frame))
			return failed("frame %u isn't sent", i);
	}
	result = reset_transmit_queue();
	if (result != NULL)
		return result;
	/* The library begins a new ring where the device must. */
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent from the new ring");
}

static const char *queue_reset_disables(void)
{
	const char *result;

	start(RING_RESET);
	result = reset_transmit_queue();
	if (result == NULL && device.transport->queue_enabled(&device, TRANSMIT))
		result = failed("the queue is still enabled");
	return result;
}

static const char *queue_reset_leaves_others(void)
{
	const char *result;

	start(RING_RESET);
	give_buffers(8, BUFFER_SIZE);
	result = exchange_new(FRAME_MIN);
	if (result == NULL)
		result = reset_transmit_queue();
	if (result != NULL)
		return result;
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	return exchange_new(FRAME_MIN);
}

static const char *queue_reset_size(void)
{
	static const uint16_t sizes[] = {16, 64, 2, 32};

	start(RING_RESET);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *result = reset_transmit_queue();

		if (result != NULL)
			return result;
		set_up_queue(TRANSMIT, sizes[i]);
		for (unsigned int k = 0; k < 2 * sizes[i]; k++) {
			make_frame(&frame, FRAME_MIN);
			if (!send(&frame))
				return failed("with size %u, frame %u isn't sent", sizes[i], k);
		}
	}
	return NULL;
}

static const char *queue_reset_receive(void)
{
	start(RING_RESET);
	give_buffers(8, BUFFER_SIZE);
	if (!virtio_reset_queue(&device, RECEIVE))
		return failed("the queue's reset doesn't end");
	set_up_queue(RECEIVE, QUEUE_SIZE);
	give_buffers(8, BUFFER_SIZE);
	return exchange_new(FRAME_MAX);
}

static const char *queue_reset_under_traffic(void)
{
	size_t mark;

	start(RING_RESET);
	give_buffers(8, BUFFER_SIZE);
	mark = alloc_mark();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const char *result;

		queue_frame();
		queue_frame();
		virtqueue_kick(&net.queues[TRANSMIT]);
		result = reset_transmit_queue();
		if (result != NULL)
			return result;
		alloc_release(mark);
		set_up_queue(TRANSMIT, QUEUE_SIZE);
	}
	return exchange_new(FRAME_MIN);
}

static const char *queue_reset_after_error(void)
{
	const char *result;

	start(RING_RESET);
	result = reset_transmit_queue();
	if (result == NULL)
		result = reset_transmit_queue();
	if (result != NULL)
		return result;
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent after two resets in a row");
}

/* --- 2.9 --- */

static const char *notification_data(void)
{
	start(FEATURE(VIRTIO_F_NOTIFICATION_DATA));
	give_buffers(8, BUFFER_SIZE);
	for (unsigned int i = 0; i < 3 * QUEUE_SIZE; i++) {
		make_frame(&frame, FRAME_MIN);
		if (!send(&frame))
			return failed("frame %u isn't sent", i);
	}
	return NULL;
}

static const char *notification_data_wrong(void)
{
	start(FEATURE(VIRTIO_F_NOTIFICATION_DATA));
	make_frame(&frame, FRAME_MIN);
	/* What it says of the ring is a hint; the ring itself counts. */
	device.transport->notify(&device, TRANSMIT, TRANSMIT | 0x7fffu << 16);
	return send(&frame) ? NULL : failed("nothing is sent after a wrong position");
}

static const struct test_case cases[] = {
	{"2.1", "ACKNOWLEDGE and DRIVER read back as they are set", status_steps, 0, 0},
	{"2.1", "DRIVER_OK reads back, and nothing else is set", status_driver_ok, 0, 0},
	{"2.1", "FAILED stays until a reset", status_failed, 0, 0},
	{"2.1.2", "no buffer is consumed before DRIVER_OK", nothing_before_driver_ok, 0, 0},
	{"2.1.2", "no used buffer notification is sent before DRIVER_OK",
	 no_interrupt_before_driver_ok, 0, 0},
	{"2.1.2", "a buffer from before DRIVER_OK is consumed after it", goes_on_after_driver_ok, 0,
	 0},
	{"2.1.2", "an error sets DEVICE_NEEDS_RESET", error_needs_reset, 0, 0},
	{"2.1.2", "DEVICE_NEEDS_RESET comes with a configuration change notification",
	 error_notifies, 0, 0},
	{"2.1.2", "a reset ends the error", error_is_over_after_reset, 0, 0},
	{"2.2.2", "no feature is offered without one that it requires", dependencies_offered, 0, 0},
	{"2.2.2", "no feature is offered that no specification describes", undefined_features, 0,
	 0},
	{"2.2.2", "no feature is offered that belongs to legacy devices", legacy_features, 0, 0},
	{"2.2.2", "VERSION_1 alone is accepted", version_1_alone, 0, 0},
	{"2.2.2", "all that is offered is accepted", all_features, 0, 0},
	{"2.2.2", "each feature is accepted with only what it requires", each_feature, 0, 0},
	{"2.2.2", "all features but one and what requires it are accepted", all_features_but_one, 0,
	 0},
	{"2.2.2", "FEATURES_OK is refused with a feature that isn't offered", not_offered_refused,
	 0, 0},
	{"2.2.2", "FEATURES_OK is refused without what a feature requires", dependency_missing, 0,
	 0},
	{"2.2.2", "the same features are accepted after each reset", negotiated_again, 0, 0},
	{"2.2.2", "features are accepted after others were refused", refused_then_accepted, 0, 0},
	{"2.4.1", "after a reset the status is 0", reset_reads_zero, 0, 0},
	{"2.4.1", "a reset works in each state", reset_in_each_state, 0, 0},
	{"2.4.1", "no ring changes after a reset", nothing_after_reset, PEER, 0},
	{"2.4.1", "no notification is sent after a reset", no_interrupt_after_reset, PEER, 0},
	{"2.4.1", "kicks between reset and initialization do nothing", kicks_after_reset, 0, 0},
	{"2.4", "a reset disables the queues", queues_off_after_reset, 0, 0},
	{"2.4.1", "resets under traffic leave a device that works", reset_under_traffic, PEER, 0},
	{"2.5.2", "mac can be read before FEATURES_OK", config_before_features_ok, 0,
	 FEATURE(VIRTIO_NET_F_MAC)},
	{"2.5.2", "fields of features that are offered can be read before FEATURES_OK",
	 conditional_before_features_ok, 0, 0},
	{"2.5", "the generation stays while nothing changes", config_generation_stays, 0, 0},
	{"2.5", "bytes and words of the configuration agree", config_by_bytes, 0,
	 FEATURE(VIRTIO_NET_F_MAC)},
	{"2.6.1.1.1", "no buffer of a queue is consumed after its reset", queue_reset_stops, 0,
	 RING_RESET},
	{"2.6.1.1.1", "no notification is sent for a queue after its reset", queue_reset_silent, 0,
	 RING_RESET},
	{"2.6.1.1.1", "a queue's positions begin anew after its reset", queue_reset_positions, 0,
	 RING_RESET},
	{"2.6.1.1.1", "a queue is disabled after its reset", queue_reset_disables, 0, RING_RESET},
	{"2.6.1.1.1", "another queue goes on while one is reset", queue_reset_leaves_others, PEER,
	 RING_RESET},
	{"2.6.1.1.1", "a queue can be reset while it is disabled", queue_reset_after_error, 0,
	 RING_RESET},
	{"2.6.1.1.1", "queue resets under traffic leave a queue that works",
	 queue_reset_under_traffic, PEER, RING_RESET},
	{"2.6.1.2.1", "a transmit queue takes another size when it is enabled again",
	 queue_reset_size, 0, RING_RESET},
	{"2.6.1.2.1", "a receive queue takes other memory when it is enabled again",
	 queue_reset_receive, PEER, RING_RESET},
	{"2.9", "notifications say where the ring stands", notification_data, 0,
	 FEATURE(VIRTIO_F_NOTIFICATION_DATA)},
	{"2.9", "a notification that says it wrongly does no harm", notification_data_wrong, 0,
	 FEATURE(VIRTIO_F_NOTIFICATION_DATA)},
	{"6.2", "VERSION_1 is offered", version_1_offered, 0, 0},
	{"6.2", "a driver without VERSION_1 does no harm to the next one", without_version_1, 0, 0},
	{"6.2", "IN_ORDER: transmit buffers are used in order", in_order, 0,
	 FEATURE(VIRTIO_F_IN_ORDER)},
	{"6.2", "IN_ORDER: receive buffers are used in order", in_order_receive, PEER,
	 FEATURE(VIRTIO_F_IN_ORDER)},
	{"6.2", "SR_IOV is not offered by a device that has no such capability", sr_iov, 0, 0},
};

const struct test_group basic_group = TEST_GROUP(cases);
