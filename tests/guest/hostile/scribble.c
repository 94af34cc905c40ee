/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device reads changes while it reads: a second CPU writes to it. Each thing is copied
 * once, checked, then used, or the device can be had.
 */
#include "hostile/hostile.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_mmio.h"
#include "lib/virtio_pci.h"

enum {
	DURATION = 20, /* ms */
	LEN = 100,
};

#define SCRATCH ((uintptr_t)scratch)

static bool packed(void)
{
	return virtio_has(&device, VIRTIO_F_RING_PACKED);
}

/* Good, or bad in one of many ways. */
static uint64_t any_address(void)
{
	uint32_t random = random_number();

	return random % 2 == 0 ? SCRATCH + random / 2 % PAGE_SIZE
			       : place_address((enum place)(random / 2 % N_PLACES));
}

static uint32_t any_length(void)
{
	static const uint32_t lengths[] = {0, 1, 12, 16, 17, 32, 100, 4096, 1u << 31, UINT32_MAX};

	return lengths[random_number() % (sizeof(lengths) / sizeof(lengths[0]))];
}

/* --- what the second CPU does --- */

static void write_descriptors(void)
{
	unsigned int at = random_number() % QUEUE_SIZE;
	uint16_t flags = random_number() % 8;

	if (packed()) {
		volatile struct packed_descriptor *to =
			&net.queues[TRANSMIT].packed.descriptors[at];

		to->addr = any_address();
		to->len = any_length();
		to->flags = (uint16_t)(flags |
				       (random_number() % 2 == 0 ? PACKED_AVAIL : PACKED_USED));
	} else {
		volatile struct split_descriptor *to = &net.queues[TRANSMIT].split.descriptors[at];

		to->addr = any_address();
		to->len = any_length();
		to->flags = flags;
		to->next = (uint16_t)(random_number() % (QUEUE_SIZE + 2));
	}
}

/* Only lengths, so that most of what is checked is good. */
static void write_lengths(void)
{
	unsigned int at = random_number() % QUEUE_SIZE;
	uint32_t len = random_number() % 2 == 0 ? LEN : UINT32_MAX;

	if (packed())
		net.queues[TRANSMIT].packed.descriptors[at].len = len;
	else
		*(volatile uint32_t *)&net.queues[TRANSMIT].split.descriptors[at].len = len;
}

static void write_addresses(void)
{
	unsigned int at = random_number() % QUEUE_SIZE;
	uint64_t address = random_number() % 2 == 0 ? SCRATCH : place_address(BEYOND_MEMORY);

	if (packed())
		net.queues[TRANSMIT].packed.descriptors[at].addr = address;
	else
		*(volatile uint64_t *)&net.queues[TRANSMIT].split.descriptors[at].addr = address;
}

static void write_driver_area(void)
{
	if (packed()) {
		net.queues[TRANSMIT].packed.driver_event->offset_wrap = (uint16_t)random_number();
		net.queues[TRANSMIT].packed.driver_event->flags = (uint16_t)random_number();
	} else {
		volatile struct split_available *available = net.queues[TRANSMIT].split.available;

		available->ring[random_number() % QUEUE_SIZE] = random_number() % QUEUE_SIZE;
		available->flags = random_number() & 1;
		*net.queues[TRANSMIT].split.used_event = (uint16_t)random_number();
	}
}

static void write_index(void)
{
	if (packed())
		net.queues[TRANSMIT].packed.descriptors[random_number() % QUEUE_SIZE].flags =
			(uint16_t)random_number();
	else
		net.queues[TRANSMIT].split.available->idx = (uint16_t)random_number();
}

static void write_device_area(void)
{
	if (packed()) {
		net.queues[TRANSMIT].packed.device_event->offset_wrap = (uint16_t)random_number();
		net.queues[TRANSMIT].packed.device_event->flags = (uint16_t)random_number();
	} else {
		volatile struct split_used *used = net.queues[TRANSMIT].split.used;

		used->idx = (uint16_t)random_number();
		used->ring[random_number() % QUEUE_SIZE].id = random_number();
		used->flags = random_number() & 1;
	}
}

static void write_table(void)
{
	set_table(scratch, random_number() % 2,
		  (struct piece){any_address(), any_length(), (uint16_t)(random_number() % 8)},
		  (uint16_t)(random_number() % 4));
}

static void write_packet(void)
{
	scratch[random_number() % 64] = (uint8_t)random_number();
}

static void write_status(void)
{
	device.transport->set_status(&device, (uint8_t)(random_number() % 16));
}

static void write_selectors(void)
{
	if (device.pci != NULL) {
		device.pci->common->queue_select = (uint16_t)(random_number() % 4);
		device.pci->common->queue_enable = 1;
		device.pci->common->driver_feature_select = random_number() % 3;
	} else {
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_SEL, random_number() % 4);
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_READY, random_number() % 2);
		virtio_mmio_write(&device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, random_number() % 3);
	}
}

static void write_window(void)
{
	const struct pci_function *function = &device.pci->function;
	unsigned int at = virtio_pci_capability(function, VIRTIO_PCI_CAP_PCI);

	pci_write(function, at + VIRTIO_PCI_CAP_OFFSET, 4, random_number());
	pci_write(function, at + VIRTIO_PCI_CAP_LENGTH, 4, random_number() % 6);
	pci_write(function, at + VIRTIO_PCI_CAP_BAR, 1, random_number() % 2);
}

static void write_bar(void)
{
	const struct pci_function *function = &device.pci->function;
	/* Of all places, not over the other device's. */
	uint64_t base = function->bars[0].base + random_number() % 2 * 64 * function->bars[0].size;

	pci_write(function, PCI_BAR0, 4, (uint32_t)base);
}

static void write_command(void)
{
	pci_write(&device.pci->function, PCI_COMMAND, 2, random_number() % 8);
}

static void write_vectors(void)
{
	device.pci->msix_table[0].control = random_number() % 2;
	pci_write(&device.pci->function, device.pci->msix + PCI_MSIX_CONTROL, 2,
		  random_number() % 4 << 14);
}

/* --- what the first one does meanwhile --- */

static void kick_for_a_while(void)
{
	for (deadline_t d = deadline(DURATION); !deadline_passed(d);)
		kick(TRANSMIT);
}

/* All descriptors, again and again, as if each time were the first. */
static void transmit(void (*act)(void))
{
	scribbling_begins(act);
	for (deadline_t d = deadline(DURATION); !deadline_passed(d) && !is_broken();)
		show_one(TRANSMIT, SCRATCH, LEN, 0);
}

static void transmit_tables(void)
{
	scribbling_begins(write_table);
	for (deadline_t d = deadline(DURATION); !deadline_passed(d) && !is_broken();)
		show_one(TRANSMIT, SCRATCH, 2 * sizeof(struct split_descriptor), PIECE_INDIRECT);
}

static void rings(uint64_t which)
{
	static void (*const acts[])(void) = {
		write_descriptors, write_lengths,     write_addresses, write_driver_area,
		write_index,	   write_device_area, write_packet,
	};

	transmit(acts[which]);
}

static void tables(uint64_t arg)
{
	(void)arg;
	transmit_tables();
}

static void registers_of_both(uint64_t which)
{
	static void (*const acts[])(void) = {
		write_status, write_selectors, write_bar, write_command, write_vectors,
	};

	scribbling_begins(acts[which]);
	kick_for_a_while();
}

/* One CPU sets the device up, the other one resets it. */
static void set_up_against_reset(uint64_t arg)
{
	(void)arg;
	scribbling_begins(write_status);
	for (deadline_t d = deadline(DURATION); !deadline_passed(d);) {
		device.transport->accept(&device, ring_features | FEATURE(VIRTIO_F_VERSION_1));
		for (unsigned int queue = 0; queue < 3; queue++) {
			select_queue(queue);
			set_queue_size(QUEUE_SIZE);
			set_queue_addresses(SCRATCH);
			set_queue_enabled(1);
			kick(queue);
		}
		virtio_driver_ok(&device);
	}
}

/* One CPU uses the window, the other one moves it. */
static void window_moves(uint64_t arg)
{
	const struct pci_function *function = &device.pci->function;
	unsigned int at = virtio_pci_capability(function, VIRTIO_PCI_CAP_PCI) + VIRTIO_PCI_CAP_DATA;

	(void)arg;
	scribbling_begins(write_window);
	for (deadline_t d = deadline(DURATION); !deadline_passed(d);) {
		pci_read(function, at, 4);
		pci_write(function, at, 4, random_number());
	}
}

/* The control command is another one each time it is looked at. */
static void write_command_data(void)
{
	for (unsigned int i = 0; i < 16; i++)
		scratch[i] = (uint8_t)(random_number() % 7);
}

static void commands(uint64_t arg)
{
	struct segment segments[] = {{scratch, 80}, {scratch + PAGE_SIZE, 1}};
	void *token;
	uint32_t len;

	(void)arg;
	scribbling_begins(write_command_data);
	for (deadline_t d = deadline(DURATION); !deadline_passed(d);) {
		if (virtqueue_add(&net.control, segments, 1, 1, scratch))
			virtqueue_publish(&net.control);
		virtqueue_take(&net.control, &token, &len);
	}
}

#define RINGS(what, which, features)                                                            \
	{                                                                                       \
		"2.7.13", what " change while they are read", rings, which, ANYTHING, TWO_CPUS, \
			features                                                                \
	}

static const struct trick tricks[] = {
	RINGS("descriptors", 0, INDIRECT),
	RINGS("lengths of descriptors", 1, 0),
	RINGS("addresses of descriptors", 2, 0),
	RINGS("the driver area and its events", 3, EVENT_IDX),
	RINGS("indices, or flags of packed descriptors,", 4, 0),
	RINGS("the device area and its events", 5, EVENT_IDX),
	RINGS("headers and packets", 6, FEATURE(VIRTIO_NET_F_CSUM)),
	{"2.7.5.3", "indirect tables change while they are read", tables, 0, ANYTHING, TWO_CPUS,
	 INDIRECT},
	{"5.1.6.5", "commands change while they are read", commands, 0, ANYTHING, TWO_CPUS,
	 FEATURE(VIRTIO_NET_F_CTRL_VQ) | FEATURE(VIRTIO_NET_F_CTRL_RX) |
		 FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) | FEATURE(VIRTIO_NET_F_CTRL_VLAN)},
	{"2.1", "the status changes under kicks", registers_of_both, 0, ANYTHING, TWO_CPUS, 0},
	{"2.1", "one CPU sets it up, one resets it", set_up_against_reset, 0, ANYTHING,
	 TWO_CPUS | BARE, 0},
	{"4.2.2", "two CPUs select queues", registers_of_both, 1, ANYTHING, TWO_CPUS, 0},
	{"4.1.4.9", "the window moves while it is used", window_moves, 0, ANYTHING, TWO_CPUS | PCI,
	 0},
	{"PCI 6.2.5.1", "the BAR moves under kicks", registers_of_both, 2, ANYTHING,
	 TWO_CPUS | PCI | ONCE, 0},
	{"PCI 6.2.2", "the command changes under kicks", registers_of_both, 3, ANYTHING,
	 TWO_CPUS | PCI | ONCE, 0},
	{"PCI 6.8.2", "vectors change under kicks", registers_of_both, 4, ANYTHING, TWO_CPUS | PCI,
	 0},
};

const struct trick_group scribble_tricks = TRICK_GROUP(tricks);
