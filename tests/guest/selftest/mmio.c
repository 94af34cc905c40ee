/* SPDX-License-Identifier: Apache-2.0 */
/* The MMIO transport (4.2). */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/virtio_mmio.h"

enum {
	NO_QUEUE = 0xffff, /* no device has as many */
};

static struct frame frame;

static uint32_t get(unsigned int offset)
{
	return virtio_mmio_read(&device, offset);
}

static void set(unsigned int offset, uint32_t value)
{
	virtio_mmio_write(&device, offset, value);
}

static const char *expect(unsigned int offset, uint32_t value)
{
	uint32_t is = get(offset);

	return is == value ? NULL : failed("register %#x is %#x, not %#x", offset, is, value);
}

static const char *magic(void)
{
	return expect(VIRTIO_MMIO_MAGIC, VIRTIO_MMIO_MAGIC_VALUE);
}

static const char *version(void)
{
	return expect(VIRTIO_MMIO_VERSION, 2);
}

static const char *device_id(void)
{
	return expect(VIRTIO_MMIO_DEVICE_ID, VIRTIO_ID_NET);
}

static const char *identity_read_only(void)
{
	const char *result;

	set(VIRTIO_MMIO_MAGIC, 0);
	set(VIRTIO_MMIO_VERSION, 1);
	set(VIRTIO_MMIO_DEVICE_ID, 0);
	result = magic();
	if (result == NULL)
		result = version();
	return result != NULL ? result : device_id();
}

static const char *high_features(void)
{
	for (uint32_t select = 2; select < 6; select++) {
		set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, select);
		if (get(VIRTIO_MMIO_DEVICE_FEATURES) != 0)
			return failed("DeviceFeatures is %#x where DeviceFeaturesSel is %u",
				      get(VIRTIO_MMIO_DEVICE_FEATURES), select);
	}
	return NULL;
}

static const char *features_selected(void)
{
	uint32_t low, high;

	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	high = get(VIRTIO_MMIO_DEVICE_FEATURES);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = get(VIRTIO_MMIO_DEVICE_FEATURES);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	if (get(VIRTIO_MMIO_DEVICE_FEATURES) != high || low != (uint32_t)offered)
		return failed("the words are %#x and %#x", low, high);
	return NULL;
}

/* --- InterruptStatus --- */

static const char *status_on_used(void)
{
	start(0);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	if (!send(&frame))
		return failed("nothing is sent");
	for (deadline_t d = deadline(PATIENCE_MS);
	     !(get(VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_CAUSE_USED);)
		if (deadline_passed(d))
			return failed("it is %#x", get(VIRTIO_MMIO_INTERRUPT_STATUS));
	return NULL;
}

static const char *status_until_acknowledged(void)
{
	const char *result = status_on_used();

	for (deadline_t d = deadline(QUIET_MS); result == NULL && !deadline_passed(d);)
		result = expect(VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_CAUSE_USED);
	if (result != NULL)
		return result;
	set(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_CAUSE_USED);
	return expect(VIRTIO_MMIO_INTERRUPT_STATUS, 0);
}

static const char *acknowledges_only_what_is_written(void)
{
	const char *result = status_on_used();

	if (result != NULL)
		return result;
	set(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_CAUSE_CONFIG);
	return expect(VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_CAUSE_USED);
}

static const char *status_zero_before_events(void)
{
	start(0);
	return expect(VIRTIO_MMIO_INTERRUPT_STATUS, 0);
}

static const char *status_cleared_by_reset(void)
{
	const char *result = status_on_used();

	if (result == NULL && !virtio_reset(&device))
		result = failed("the reset doesn't end");
	return result != NULL ? result : expect(VIRTIO_MMIO_INTERRUPT_STATUS, 0);
}

static const char *interrupt_after_status(void)
{
	uint32_t seen, causes;

	start(0);
	for (unsigned int i = 0; i < 20; i++) {
		seen = irq_count(device.irq);
		virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
		make_frame(&frame, FRAME_MIN);
		if (!send(&frame))
			return failed("nothing is sent");
		if (!interrupted(seen, PATIENCE_MS))
			return failed("no interrupt comes for frame %u", i);
		causes = device.transport->take_causes(&device);
		if (!(causes & VIRTIO_CAUSE_USED))
			return failed("an interrupt comes with InterruptStatus %#x", causes);
	}
	return NULL;
}

/* --- queues --- */

static const char *ready_after_reset(void)
{
	start(0);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	for (uint32_t queue = 0; queue < 64; queue++) {
		set(VIRTIO_MMIO_QUEUE_SEL, queue);
		if (get(VIRTIO_MMIO_QUEUE_READY) != 0)
			return failed("QueueReady of queue %u is set", queue);
	}
	return NULL;
}

static const char *ready_reads_back(void)
{
	start(0);
	set(VIRTIO_MMIO_QUEUE_SEL, TRANSMIT);
	return expect(VIRTIO_MMIO_QUEUE_READY, 1);
}

static const char *not_ready_untouched(void)
{
	struct segment segment = {frame.data, FRAME_MIN};

	start(0);
	set(VIRTIO_MMIO_QUEUE_SEL, TRANSMIT);
	set(VIRTIO_MMIO_QUEUE_READY, 0);
	if (get(VIRTIO_MMIO_QUEUE_READY) != 0)
		return failed("QueueReady doesn't become 0");
	virtqueue_add(&net.queues[TRANSMIT], &segment, 1, 0, &frame);
	virtqueue_publish(&net.queues[TRANSMIT]);
	virtqueue_kick(&net.queues[TRANSMIT]);
	return stays_unused(&net.queues[TRANSMIT]) ? NULL : failed("a buffer is used");
}

static const char *absent_queue(void)
{
	set(VIRTIO_MMIO_QUEUE_SEL, NO_QUEUE);
	return expect(VIRTIO_MMIO_QUEUE_SIZE_MAX, 0);
}

static const char *absent_queue_not_ready(void)
{
	set(VIRTIO_MMIO_QUEUE_SEL, NO_QUEUE);
	set(VIRTIO_MMIO_QUEUE_SIZE, 16);
	set(VIRTIO_MMIO_QUEUE_READY, 1);
	return expect(VIRTIO_MMIO_QUEUE_READY, 0);
}

static const char *absent_queue_notified(void)
{
	start(0);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, NO_QUEUE);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent afterwards");
}

static const char *size_power_of_two(void)
{
	for (uint16_t queue = 0; queue < 2; queue++) {
		uint16_t max = device.transport->queue_max(&device, queue);

		if (max == 0 || max > 32768 || (max & (max - 1)) != 0)
			return failed("QueueSizeMax of queue %u is %u", queue, max);
	}
	return NULL;
}

static const char *queue_reset_zero(void)
{
	const char *result;

	negotiate(FEATURE(VIRTIO_F_RING_RESET));
	set(VIRTIO_MMIO_QUEUE_SEL, TRANSMIT);
	result = expect(VIRTIO_MMIO_QUEUE_RESET, 0);
	if (result != NULL)
		return result;
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	return expect(VIRTIO_MMIO_QUEUE_RESET, 0);
}

static const char *queue_reset_done(void)
{
	start(FEATURE(VIRTIO_F_RING_RESET));
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("QueueReset doesn't become 0");
	return expect(VIRTIO_MMIO_QUEUE_READY, 0);
}

static const char *queue_reset_enabled_again(void)
{
	start(FEATURE(VIRTIO_F_RING_RESET));
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("QueueReset doesn't become 0");
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	return expect(VIRTIO_MMIO_QUEUE_RESET, 0);
}

/* --- the rest --- */

static const char *no_shared_memory(void)
{
	for (uint32_t id = 0; id < 256; id += 51) {
		set(VIRTIO_MMIO_SHM_SEL, id);
		if (get(VIRTIO_MMIO_SHM_LEN_LOW) != UINT32_MAX ||
		    get(VIRTIO_MMIO_SHM_LEN_HIGH) != UINT32_MAX)
			return failed("region %u has the length %#x", id,
				      get(VIRTIO_MMIO_SHM_LEN_LOW));
	}
	return NULL;
}

static const char *no_shared_memory_base(void)
{
	set(VIRTIO_MMIO_SHM_SEL, 0);
	if (get(VIRTIO_MMIO_SHM_BASE_LOW) != UINT32_MAX ||
	    get(VIRTIO_MMIO_SHM_BASE_HIGH) != UINT32_MAX)
		return failed("it is %#x", get(VIRTIO_MMIO_SHM_BASE_LOW));
	return NULL;
}

static const char *two_interrupts_two_causes(void)
{
	const char *result = status_on_used();

	if (result != NULL)
		return result;
	set(VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	result = expect(VIRTIO_MMIO_INTERRUPT_STATUS, 0);
	if (result != NULL)
		return result;
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	send(&frame);
	for (deadline_t d = deadline(PATIENCE_MS); get(VIRTIO_MMIO_INTERRUPT_STATUS) == 0;)
		if (deadline_passed(d))
			return failed("InterruptStatus stays 0");
	return NULL;
}

static const struct test_case cases[] = {
	{"4.2.2.1", "MagicValue is 0x74726976", magic, MMIO, 0},
	{"4.2.2.1", "Version is 2", version, MMIO, 0},
	{"4.2.2", "DeviceID is 1", device_id, MMIO, 0},
	{"4.2.2", "writes don't change what can only be read", identity_read_only, MMIO, 0},
	{"4.2.2", "DeviceFeatures is 0 from bit 64 on", high_features, MMIO, 0},
	{"4.2.2", "DeviceFeaturesSel selects which features DeviceFeatures shows",
	 features_selected, MMIO, 0},
	{"4.2.2.1", "InterruptStatus shows a used buffer", status_on_used, MMIO, 0},
	{"4.2.2.1", "InterruptStatus shows it until it is acknowledged", status_until_acknowledged,
	 MMIO, 0},
	{"4.2.2.1", "InterruptACK acknowledges only what is written",
	 acknowledges_only_what_is_written, MMIO, 0},
	{"4.2.2.1", "InterruptStatus is 0 before anything takes place", status_zero_before_events,
	 MMIO, 0},
	{"4.2.2.1", "InterruptStatus is 0 after a reset", status_cleared_by_reset, MMIO, 0},
	{"4.2.2.1", "when an interrupt comes, InterruptStatus has its cause",
	 interrupt_after_status, MMIO, 0},
	{"4.2.2.1", "InterruptStatus is set anew by the next event", two_interrupts_two_causes,
	 MMIO, 0},
	{"4.2.2.1", "QueueReady of each queue is 0 after a reset", ready_after_reset, MMIO, 0},
	{"4.2.2", "QueueReady reads back as it was written", ready_reads_back, MMIO, 0},
	{"4.2.2.1", "no virtqueue is accessed whose QueueReady is 0", not_ready_untouched, MMIO, 0},
	{"4.2.2", "QueueSizeMax of a queue that doesn't exist is 0", absent_queue, MMIO, 0},
	{"4.2.2", "a queue that doesn't exist doesn't become ready", absent_queue_not_ready, MMIO,
	 0},
	{"4.2.2", "notifying a queue that doesn't exist does no harm", absent_queue_notified, MMIO,
	 0},
	{"2.7", "QueueSizeMax is a power of 2 up to 32768", size_power_of_two, MMIO | SPLIT, 0},
	{"4.2.2.1", "QueueReset is 0 after a reset and while the queue is enabled",
	 queue_reset_zero, MMIO, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.2.2.1", "QueueReset and QueueReady are 0 when a queue's reset is done",
	 queue_reset_done, MMIO, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.2.2.1", "QueueReset is 0 when the queue was enabled again", queue_reset_enabled_again,
	 MMIO, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.2.2", "SHMLen is -1 for regions that don't exist", no_shared_memory, MMIO, 0},
	{"4.2.2", "SHMBase is -1 for regions that don't exist", no_shared_memory_base, MMIO, 0},
};

const struct test_group mmio_group = TEST_GROUP(cases);
