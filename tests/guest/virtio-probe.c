/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of virtio-mmio, version 2, as the virtio 1.3 specification has them: those of the
 * first network device. Nothing is sent or received.
 */
#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_mmio.h"
#include "lib/virtio_net.h"

enum {
	NEGOTIATING = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER,
	LAST_QUEUE = 0xffff, /* no device has as many */
};

static struct virtio_device device;

static uint32_t get(unsigned int offset)
{
	return virtio_mmio_read(&device, offset);
}

static void set(unsigned int offset, uint32_t value)
{
	virtio_mmio_write(&device, offset, value);
}

static uint32_t offered_word(uint32_t select)
{
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, select);
	return get(VIRTIO_MMIO_DEVICE_FEATURES);
}

static void check_identity(void)
{
	check(get(VIRTIO_MMIO_MAGIC) == VIRTIO_MMIO_MAGIC_VALUE, "4.2.2 MagicValue: %#x",
	      get(VIRTIO_MMIO_MAGIC));
	check(get(VIRTIO_MMIO_VERSION) == 2, "4.2.2 Version: %u", get(VIRTIO_MMIO_VERSION));
	check(get(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_NET, "4.2.2 DeviceID: %u",
	      get(VIRTIO_MMIO_DEVICE_ID));
	print("# VendorID %#x\n", get(VIRTIO_MMIO_VENDOR_ID));
}

static void check_reset(void)
{
	check(virtio_reset(&device), "2.1.2 writing 0 to Status resets: it reads 0");
	check(get(VIRTIO_MMIO_INTERRUPT_STATUS) == 0, "4.2.2.1 InterruptStatus is 0 after a reset");
	for (uint32_t queue = 0; queue < 2; queue++) {
		set(VIRTIO_MMIO_QUEUE_SEL, queue);
		check(get(VIRTIO_MMIO_QUEUE_READY) == 0,
		      "4.2.2.1 QueueReady of queue %u is 0 after a reset", queue);
	}
}

static void check_features(void)
{
	uint32_t low, high;

	set(VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE);
	set(VIRTIO_MMIO_STATUS, NEGOTIATING);
	low = offered_word(0);
	high = offered_word(1);
	print("# features %#x %08x\n", high, low);
	check(high & 1, "6.1 VIRTIO_F_VERSION_1 is offered");
	check(low & VIRTIO_FEATURE(VIRTIO_NET_F_MAC), "5.1.3 VIRTIO_NET_F_MAC is offered");
	check(low & VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC), "6 INDIRECT_DESC is offered");
	check(low & VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX), "6 EVENT_IDX is offered");
	check(offered_word(4) == 0, "4.2.2 DeviceFeatures has nothing beyond bit 127");
	check(offered_word(0) == low, "4.2.2 DeviceFeaturesSel selects again");
	check(!(low & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4)) ||
		      (low & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM)),
	      "5.1.3.1 GUEST_TSO4 comes with GUEST_CSUM");
	check(!(low & VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4)) ||
		      (low & VIRTIO_FEATURE(VIRTIO_NET_F_CSUM)),
	      "5.1.3.1 HOST_TSO4 comes with CSUM");
}

/* Accept @features and say so. Returns the status that the device then has. */
static uint8_t negotiate(uint64_t features)
{
	virtio_reset(&device);
	set(VIRTIO_MMIO_STATUS, VIRTIO_ACKNOWLEDGE);
	set(VIRTIO_MMIO_STATUS, NEGOTIATING);
	device.transport->accept(&device, features);
	set(VIRTIO_MMIO_STATUS, NEGOTIATING | VIRTIO_FEATURES_OK);
	return (uint8_t)get(VIRTIO_MMIO_STATUS);
}

static void check_negotiation(void)
{
	uint64_t version_1 = VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
	uint64_t unknown = VIRTIO_FEATURE(62); /* VIRTIO_NET_F_STANDBY: for pairs of devices */

	check(negotiate(version_1 | unknown) == NEGOTIATING,
	      "2.2.1 FEATURES_OK is refused when a feature was not offered");
	check(negotiate(0) == NEGOTIATING, "6.2 FEATURES_OK is refused without VIRTIO_F_VERSION_1");
	check(negotiate(version_1) == (NEGOTIATING | VIRTIO_FEATURES_OK),
	      "3.1.1 VIRTIO_F_VERSION_1 alone is accepted");
	check(negotiate(version_1 | device.transport->offered(&device)) ==
		      (NEGOTIATING | VIRTIO_FEATURES_OK),
	      "3.1.1 all that is offered is accepted");
}

static void check_config(void)
{
	uint8_t mac[6], again[6], zero[6] = {0};
	uint32_t word;

	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, mac, sizeof(mac));
	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, again, sizeof(again));
	print("# MAC %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4],
	      mac[5]);
	check(memcmp(mac, again, sizeof(mac)) == 0, "5.1.4 the MAC address reads the same twice");
	check(!(mac[0] & 1) && memcmp(mac, zero, sizeof(mac)) != 0,
	      "5.1.4 the MAC address is of one station");
	memcpy(&word, mac, sizeof(word));
	check(get(VIRTIO_MMIO_CONFIG) == word,
	      "4.2.2.2 config space reads the same by bytes and by words");
	check(get(VIRTIO_MMIO_CONFIG_GENERATION) == get(VIRTIO_MMIO_CONFIG_GENERATION),
	      "2.5.1 ConfigGeneration stays while nothing changes");
	if (device.transport->offered(&device) & VIRTIO_FEATURE(VIRTIO_NET_F_STATUS)) {
		uint16_t status;

		device.transport->read_config(&device, VIRTIO_NET_CONFIG_STATUS, &status, 2);
		check(status & VIRTIO_NET_LINK_UP, "5.1.4 status: the link is up");
	}
	if (device.transport->offered(&device) & VIRTIO_FEATURE(VIRTIO_NET_F_MTU)) {
		uint16_t mtu;

		device.transport->read_config(&device, VIRTIO_NET_CONFIG_MTU, &mtu, 2);
		check(mtu >= 68 && mtu == arg_number("mtu", mtu), "5.1.4.1 mtu is %u", mtu);
	}
}

static void check_queues(void)
{
	static const char *const names[] = {"receive", "transmit"};
	uint16_t max;

	negotiate(VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	for (uint16_t queue = 0; queue < 2; queue++) {
		max = device.transport->queue_max(&device, queue);
		check(max >= 64 && (max & (max - 1)) == 0 && max <= 32768,
		      "2.7 QueueSizeMax of the %s queue is a power of 2: %u", names[queue], max);
	}
	check(device.transport->queue_max(&device, LAST_QUEUE) == 0,
	      "4.2.2 QueueSizeMax of a queue that isn't there is 0");
	set(VIRTIO_MMIO_QUEUE_READY, 1);
	check(get(VIRTIO_MMIO_QUEUE_READY) == 0, "... and it doesn't become ready");
}

static void check_queue_ready(void)
{
	struct virtqueue queue;

	negotiate(VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	virtqueue_init(&queue, &device, 1, 64);
	check(get(VIRTIO_MMIO_QUEUE_READY) == 1, "4.2.2.2 QueueReady reads 1 when written");
	virtio_driver_ok(&device);
	check(get(VIRTIO_MMIO_STATUS) == (NEGOTIATING | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK),
	      "2.1 DRIVER_OK is accepted, and NEEDS_RESET is not set");
	virtio_reset(&device);
	set(VIRTIO_MMIO_QUEUE_SEL, 1);
	check(get(VIRTIO_MMIO_QUEUE_READY) == 0, "4.2.2.1 a reset takes QueueReady back");
}

/* 4.2.2.1: a device that has no such regions says a length of -1 for each of them. */
static void check_shared_memory(void)
{
	set(VIRTIO_MMIO_SHM_SEL, 0);
	check(get(VIRTIO_MMIO_SHM_LEN_LOW) == 0xffffffff &&
		      get(VIRTIO_MMIO_SHM_LEN_HIGH) == 0xffffffff,
	      "4.2.2.1 no shared memory region: its length is -1");
}

int main(void)
{
	if (!virtio_mmio_find(VIRTIO_ID_NET, 0, &device))
		fatal("no network device");
	check_identity();
	check_reset();
	check_features();
	check_negotiation();
	check_config();
	check_queues();
	check_queue_ready();
	check_shared_memory();
	return check_done();
}
