/* SPDX-License-Identifier: Apache-2.0 */
/* Every register of virtio-mmio, at every width and offset (4.2.2). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/virtio_mmio.h"

enum {
	SIZE = 0x200, /* registers, and the configuration and more */
};

static void set(unsigned int offset, uint64_t value)
{
	virtio_mmio_write(&device, offset, (uint32_t)value);
}

static void read_all(uint64_t width)
{
	for (unsigned int offset = 0; offset < SIZE; offset++)
		peek(registers() + offset, (unsigned int)width);
}

static void read_last_page(uint64_t width)
{
	for (size_t offset = registers_size() - 32; offset < registers_size(); offset++)
		peek(registers() + offset, (unsigned int)width);
}

/* The doorbell, too, and the status, so that the device may begin to run. */
static void write_all(uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int offset = 0; offset < SIZE; offset++)
			poke(registers() + offset, width, value);
}

static void write_narrow(uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int offset = 0; offset < VIRTIO_MMIO_CONFIG && width != 4; offset++)
			poke(registers() + offset, width, value);
}

static void write_unaligned(uint64_t value)
{
	for (unsigned int offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++)
		if (offset % 4 != 0)
			poke(registers() + offset, 4, value);
}

static void write_config(uint64_t value)
{
	uint32_t before = read_config32(0);

	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int offset = VIRTIO_MMIO_CONFIG; offset < SIZE; offset += width)
			poke(registers() + offset, width, value);
	expect(read_config32(0) == before, "the MAC address has changed");
}

static void write_read_only(uint64_t value)
{
	static const unsigned int offsets[] = {
		VIRTIO_MMIO_MAGIC,
		VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID,
		VIRTIO_MMIO_VENDOR_ID,
		VIRTIO_MMIO_DEVICE_FEATURES,
		VIRTIO_MMIO_QUEUE_SIZE_MAX,
		VIRTIO_MMIO_INTERRUPT_STATUS,
		VIRTIO_MMIO_CONFIG_GENERATION,
	};

	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		uint32_t before = virtio_mmio_read(&device, offsets[i]);

		set(offsets[i], value);
		expect(virtio_mmio_read(&device, offsets[i]) == before, "register %#x has changed",
		       offsets[i]);
	}
}

static void write_at_random(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		set(random_number() % SIZE & ~3u, random_number() >> random_number() % 32);
}

/* Every queue that can be selected, with all registers there are for a queue. */
static void selects(uint64_t value)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		set(VIRTIO_MMIO_QUEUE_SEL, 1u << bit | 4);
		for (unsigned int offset = VIRTIO_MMIO_QUEUE_SIZE_MAX;
		     offset <= VIRTIO_MMIO_QUEUE_RESET; offset += 4)
			if (offset < VIRTIO_MMIO_QUEUE_NOTIFY || offset > VIRTIO_MMIO_STATUS)
				set(offset, value);
		expect(virtio_mmio_read(&device, VIRTIO_MMIO_QUEUE_READY) == 0,
		       "queue %#x becomes ready", 1u << bit | 4);
	}
}

static void feature_words(uint64_t value)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1u << bit | 2);
		set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1u << bit | 2);
		set(VIRTIO_MMIO_DRIVER_FEATURES, value);
		expect(virtio_mmio_read(&device, VIRTIO_MMIO_DEVICE_FEATURES) == 0,
		       "there are features from bit 64 on");
	}
}

static void acknowledge_storm(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		set(VIRTIO_MMIO_INTERRUPT_ACK, random_number());
}

static void ready_values(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		set(VIRTIO_MMIO_QUEUE_SEL, i % 4);
		set(VIRTIO_MMIO_QUEUE_READY, random_number() % 3);
	}
}

/* QueueSize has 32 bits here, and the sizes of rings 16. */
static void size_of_32_bits(uint64_t size)
{
	negotiate(0);
	set(VIRTIO_MMIO_QUEUE_SEL, TRANSMIT);
	set(VIRTIO_MMIO_QUEUE_SIZE, size);
	set(VIRTIO_MMIO_QUEUE_DESC_LOW, (uintptr_t)scratch);
	set(VIRTIO_MMIO_QUEUE_DRIVER_LOW, (uintptr_t)scratch + (64 << 10));
	set(VIRTIO_MMIO_QUEUE_DEVICE_LOW, (uintptr_t)scratch + (96 << 10));
	set(VIRTIO_MMIO_QUEUE_READY, 1);
	virtio_driver_ok(&device);
	kick(TRANSMIT);
}

static const struct trick tricks[] = {
	{"4.2.2.2", "bytes are read", read_all, 1, GOES_ON, MMIO | ONCE, 0},
	{"4.2.2.2", "words of 2 bytes are read, unaligned", read_all, 2, GOES_ON, MMIO | ONCE, 0},
	{"4.2.2.2", "words of 4 bytes are read, unaligned", read_all, 4, GOES_ON, MMIO | ONCE, 0},
	{"4.2.2.2", "words of 8 bytes are read, unaligned", read_all, 8, GOES_ON, MMIO | ONCE, 0},
	{"4.2.2.2", "across the end of the registers' page", read_last_page, 8, GOES_ON,
	 MMIO | ONCE, 0},
	{"4.2.2.2", "registers are copied by bytes", copy_registers, SIZE, GOES_ON, MMIO | ONCE, 0},
	{"4.2.2", "zeroes everywhere", write_all, 0, ANYTHING, MMIO, 0},
	{"4.2.2", "ones everywhere", write_all, UINT64_MAX, ANYTHING, MMIO, 0},
	{"4.2.2", "1 everywhere", write_all, 1, ANYTHING, MMIO, 0},
	{"4.2.2", "ones everywhere, after a reset", write_all, UINT64_MAX, ANYTHING, MMIO | BARE,
	 0},
	{"4.2.2", "0x0f everywhere, after a reset", write_all, 0x0f, ANYTHING, MMIO | BARE, 0},
	{"4.2.2.2", "other widths than 4 are written", write_narrow, 0, GOES_ON, MMIO, 0},
	{"4.2.2.2", "other widths than 4 are written, ones", write_narrow, UINT64_MAX, GOES_ON,
	 MMIO, 0},
	{"4.2.2.2", "unaligned registers are written", write_unaligned, 0, GOES_ON, MMIO, 0},
	{"4.2.2.2", "the configuration is written", write_config, UINT64_MAX, GOES_ON, MMIO, 0},
	{"4.2.2", "what can only be read is written", write_read_only, 0x5a5a5a5a, GOES_ON, MMIO,
	 0},
	{"4.2.2", "any register, any value", write_at_random, 3000, ANYTHING, MMIO, 0},
	{"4.2.2", "any register, any value, after a reset", write_at_random, 3000, ANYTHING,
	 MMIO | BARE, 0},
	{"4.2.2", "QueueSel out of range, ones", selects, UINT32_MAX, GOES_ON, MMIO, 0},
	{"4.2.2", "QueueSel out of range, 1", selects, 1, GOES_ON, MMIO, 0},
	{"4.2.2", "feature words out of range", feature_words, UINT32_MAX, GOES_ON, MMIO, 0},
	{"4.2.2", "InterruptACK of what there is not", acknowledge_storm, 1000, GOES_ON, MMIO, 0},
	{"4.2.2", "QueueReady with any value", ready_values, 100, ANYTHING, MMIO, 0},
	{"4.2.2", "QueueSize 0x10040", size_of_32_bits, 0x10040, ANYTHING, MMIO | BARE, 0},
	{"4.2.2", "QueueSize 0xffffffff", size_of_32_bits, UINT32_MAX, ANYTHING, MMIO | BARE, 0},
};

const struct trick_group registers_mmio_tricks = TRICK_GROUP(tricks);
