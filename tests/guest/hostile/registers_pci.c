/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of the BAR of virtio-pci, at every width and offset (4.1.4). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/virtio_pci.h"

enum {
	SOME = 96, /* of each structure, and of what is behind it */
	STRUCTURES = 0x1000,
};

static volatile struct virtio_pci_common *common(void)
{
	return device.pci->common;
}

/* Where each page of the BAR begins: that is where structures are. */
static bool next_page(size_t *offset)
{
	*offset += STRUCTURES;
	return *offset < registers_size();
}

static void read_all(uint64_t width)
{
	size_t page = 0;

	do {
		for (unsigned int at = 0; at < SOME; at++)
			peek(registers() + page + at, (unsigned int)width);
	} while (next_page(&page));
}

/* Two structures in one access, or the BAR and what is behind it. */
static void read_across_pages(uint64_t width)
{
	size_t page = 0;

	do {
		for (unsigned int at = 1; at < 8; at++)
			peek(registers() + page + STRUCTURES - at, (unsigned int)width);
	} while (next_page(&page));
}

static void write_across_pages(uint64_t value)
{
	size_t page = 0;

	do {
		for (unsigned int at = 1; at < 8; at++)
			poke(registers() + page + STRUCTURES - at, 8, value);
	} while (next_page(&page));
}

static void write_all(uint64_t value)
{
	size_t page = 0;

	do {
		for (unsigned int width = 1; width <= 8; width *= 2)
			for (unsigned int at = 0; at < SOME; at++)
				poke(registers() + page + at, width, value);
	} while (next_page(&page));
}

/* 4.1.3.1: fields take accesses of their own width. */
static void write_wrong_width(uint64_t value)
{
	for (unsigned int at = 0; at < sizeof(*common()); at++) {
		bool byte = at == offsetof(struct virtio_pci_common, device_status) ||
			    at == offsetof(struct virtio_pci_common, config_generation);
		bool word = at >= offsetof(struct virtio_pci_common, config_msix_vector) &&
			    (at < offsetof(struct virtio_pci_common, queue_desc) ||
			     at >= offsetof(struct virtio_pci_common, queue_notif_config_data));

		for (unsigned int width = 1; width <= 4; width *= 2)
			if (width != (byte ? 1u : word ? 2u : 4u))
				poke((uintptr_t)common() + at, width, value);
	}
}

static void write_common_at_random(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		unsigned int width = 1u << random_number() % 3;

		poke((uintptr_t)common() + random_number() % sizeof(*common()) / width * width,
		     width, random_number() >> random_number() % 32);
	}
}

static void write_bar_at_random(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		poke(registers() + random_number() % registers_size() / 8 * 8,
		     1u << random_number() % 4, random_number());
}

static void write_config(uint64_t value)
{
	uint32_t before = read_config32(0);

	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < SOME; at += width)
			poke((uintptr_t)device.pci->config + at, width, value);
	expect(read_config32(0) == before, "the MAC address has changed");
}

static void write_isr(uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < 16; at++)
			poke((uintptr_t)device.pci->isr + at, width, value);
}

static void write_read_only(uint64_t value)
{
	uint16_t queues = common()->num_queues, offset = common()->queue_notify_off;

	common()->device_feature = (uint32_t)value;
	common()->num_queues = (uint16_t)value;
	common()->config_generation = (uint8_t)value;
	common()->queue_notify_off = (uint16_t)value;
	common()->admin_queue_index = (uint16_t)value;
	common()->admin_queue_num = (uint16_t)value;
	expect(common()->num_queues == queues && common()->queue_notify_off == offset,
	       "num_queues is %u, queue_notify_off %u", common()->num_queues,
	       common()->queue_notify_off);
}

static void selects(uint64_t value)
{
	for (unsigned int bit = 0; bit < 16; bit++) {
		common()->queue_select = (uint16_t)(1u << bit | 4);
		for (uintptr_t at = offsetof(struct virtio_pci_common, queue_size);
		     at < sizeof(*common()); at += 2)
			poke((uintptr_t)common() + at, 2, value);
		common()->queue_desc[0] = (uint32_t)value;
		expect(common()->queue_enable == 0, "queue %#x becomes enabled", 1u << bit | 4);
		expect(common()->queue_size == 0, "queue %#x has a size", 1u << bit | 4);
	}
}

static void feature_words(uint64_t value)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		common()->device_feature_select = 1u << bit | 2;
		common()->driver_feature_select = 1u << bit | 2;
		common()->driver_feature = (uint32_t)value;
		expect(common()->device_feature == 0, "there are features from bit 64 on");
	}
}

/* 4.1.4.3.1: with a size of 0, a queue isn't there. */
static void enable_without_size(uint64_t arg)
{
	(void)arg;
	negotiate(0);
	common()->queue_select = TRANSMIT;
	common()->queue_size = 0;
	common()->queue_enable = 1;
	virtio_driver_ok(&device);
	kick(TRANSMIT);
}

/* Doorbells of all widths, in places where there is none. */
static void notify_anywhere(uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < STRUCTURES; at += at < SOME ? 1 : 61)
			poke(device.pci->notify + at, width, value);
}

static const struct trick tricks[] = {
	{"4.1.3.1", "bytes are read", read_all, 1, GOES_ON, PCI | ONCE, 0},
	{"4.1.3.1", "words of 2 bytes are read, unaligned", read_all, 2, GOES_ON, PCI | ONCE, 0},
	{"4.1.3.1", "words of 4 bytes are read, unaligned", read_all, 4, GOES_ON, PCI | ONCE, 0},
	{"4.1.3.1", "words of 8 bytes are read, unaligned", read_all, 8, GOES_ON, PCI | ONCE, 0},
	{"4.1.3.1", "two structures are read at once", read_across_pages, 8, GOES_ON, PCI | ONCE,
	 0},
	{"4.1.3.1", "two structures are read at once, 2 bytes", read_across_pages, 2, GOES_ON,
	 PCI | ONCE, 0},
	{"4.1.3.1", "two structures are written at once", write_across_pages, UINT64_MAX, GOES_ON,
	 PCI, 0},
	{"4.1.3.1", "structures are copied by bytes", copy_registers, SOME, GOES_ON, PCI | ONCE, 0},
	{"4.1.4", "zeroes everywhere", write_all, 0, ANYTHING, PCI, 0},
	{"4.1.4", "ones everywhere", write_all, UINT64_MAX, ANYTHING, PCI, 0},
	{"4.1.4", "1 everywhere", write_all, 1, ANYTHING, PCI, 0},
	{"4.1.4", "ones everywhere, after a reset", write_all, UINT64_MAX, ANYTHING, PCI | BARE, 0},
	{"4.1.4", "0x0f everywhere, after a reset", write_all, 0x0f, ANYTHING, PCI | BARE, 0},
	{"4.1.3.1", "fields are written at other widths", write_wrong_width, 0, GOES_ON, PCI, 0},
	{"4.1.3.1", "fields are written at other widths, ones", write_wrong_width, UINT64_MAX,
	 GOES_ON, PCI, 0},
	{"4.1.4.3", "any field, any value", write_common_at_random, 3000, ANYTHING, PCI, 0},
	{"4.1.4.3", "any field, any value, after a reset", write_common_at_random, 3000, ANYTHING,
	 PCI | BARE, 0},
	{"4.1.4", "anywhere in the BAR, any value", write_bar_at_random, 2000, ANYTHING, PCI, 0},
	{"4.1.4.6", "the configuration is written", write_config, UINT64_MAX, GOES_ON, PCI, 0},
	{"4.1.4.5", "ISR is written", write_isr, UINT64_MAX, GOES_ON, PCI, 0},
	{"4.1.4.3", "what can only be read is written", write_read_only, 0x5a5a5a5a, GOES_ON, PCI,
	 0},
	{"4.1.4.3", "queue_select out of range, ones", selects, UINT16_MAX, GOES_ON, PCI, 0},
	{"4.1.4.3", "queue_select out of range, 1", selects, 1, GOES_ON, PCI, 0},
	{"4.1.4.3", "feature words out of range", feature_words, UINT32_MAX, GOES_ON, PCI, 0},
	{"4.1.4.3", "a queue is enabled without size and addresses", enable_without_size, 0,
	 ANYTHING, PCI | BARE, 0},
	{"4.1.4.4", "kicks at all offsets and widths", notify_anywhere, UINT64_MAX, GOES_ON, PCI,
	 0},
};

const struct trick_group registers_pci_tricks = TRICK_GROUP(tricks);
