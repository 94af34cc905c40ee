/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space and BARs of a PCI function (PCI 3.0, chapter 6; virtio 1.3, 4.1.4.9). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/virtio_pci.h"

enum {
	CONFIG_SIZE = 256,
	PM_CONTROL = 4,	     /* PCI PM 1.2, 3.2.4 */
	EXPRESS_CONTROL = 8, /* PCI Express 5.0, 7.5.3.4 */
	EXPRESS_FLR = 1 << 15,
	ALL_COMMANDS = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
};

static const struct pci_function *function(void)
{
	return &device.pci->function;
}

static uint32_t get(unsigned int offset, unsigned int size)
{
	return pci_read(function(), offset, size);
}

static void set(unsigned int offset, unsigned int size, uint64_t value)
{
	pci_write(function(), offset, size, (uint32_t)value);
}

/* --- any access --- */

static void read_all(uint64_t size)
{
	for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += (unsigned int)size)
		get(offset, (unsigned int)size);
	for (unsigned int offset = 1; offset < CONFIG_SIZE; offset += 7) /* and unaligned */
		get(offset, (unsigned int)size);
}

static void read_by_ports(uint64_t size)
{
	for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += 3)
		pci_ports_read(function(), offset, (unsigned int)size);
}

static void write_all(uint64_t value)
{
	for (unsigned int size = 1; size <= 4; size *= 2)
		for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += size)
			set(offset, size, value);
}

static void write_unaligned(uint64_t value)
{
	for (unsigned int offset = 1; offset < CONFIG_SIZE - 4; offset += 2)
		set(offset, 4, value);
}

static void write_at_random(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		unsigned int size = 1u << random_number() % 3;

		set(random_number() % CONFIG_SIZE / size * size, size, random_number());
	}
}

/* What identifies it stays (6.2.1). */
static void write_identity(uint64_t value)
{
	uint32_t vendor = get(PCI_VENDOR, 4), class = get(PCI_REVISION, 4);

	set(PCI_VENDOR, 4, value);
	set(PCI_REVISION, 4, value);
	set(PCI_HEADER_TYPE, 1, value);
	set(PCI_CAPABILITIES, 1, value);
	expect(get(PCI_VENDOR, 4) == vendor && get(PCI_REVISION, 4) == class,
	       "vendor and device are %#x", get(PCI_VENDOR, 4));
}

static void other_functions(uint64_t value)
{
	struct pci_function other = *function();

	for (other.function = 1; other.function < 8; other.function++)
		for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += 4)
			pci_write(&other, offset, 4, (uint32_t)value);
	other = (struct pci_function){.device = 31};
	for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += 4)
		pci_write(&other, offset, 4, (uint32_t)value);
	/* The host bridge has a driver on most systems, and nothing that could be set here. */
	other.device = 0;
	for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += 4)
		pci_write(&other, offset, 4, (uint32_t)value);
}

/* --- command, power, reset --- */

static void command(uint64_t bits)
{
	set(PCI_COMMAND, 2, bits);
	kick(TRANSMIT);
	kick(RECEIVE);
}

static void commands(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		command(i & 7);
	set(PCI_COMMAND, 2, ALL_COMMANDS);
}

static void master_storm(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		kick(TRANSMIT);
		set(PCI_COMMAND, 2, ALL_COMMANDS);
		virtio_driver_ok(&device);
	}
}

/* Rings that pause go on where they were, wherever the driver says meanwhile that they are. */
static void moves_and_pauses(uint64_t address)
{
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (unsigned int queue = 0; queue < 2; queue++) {
		select_queue(queue);
		set_queue_size(1);
		set_queue_addresses(address);
	}
	set(PCI_COMMAND, 2, ALL_COMMANDS);
	virtio_driver_ok(&device);
}

static void power(uint64_t n)
{
	unsigned int at = pci_find_capability(function(), PCI_CAP_POWER, 0) + PM_CONTROL;

	for (uint64_t i = 0; i < n; i++) {
		set(at, 2, i % 4);
		kick(TRANSMIT);
		set(at, 2, 0);
		kick(TRANSMIT);
	}
}

static void power_off(uint64_t state)
{
	set(pci_find_capability(function(), PCI_CAP_POWER, 0) + PM_CONTROL, 2, state);
	kick(TRANSMIT);
}

static void function_reset(uint64_t n)
{
	unsigned int at = pci_find_capability(function(), PCI_CAP_EXPRESS, 0) + EXPRESS_CONTROL;

	for (uint64_t i = 0; i < n; i++) {
		set(at, 2, EXPRESS_FLR);
		kick(TRANSMIT);
	}
}

static void function_reset_midway(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		size_t mark = alloc_mark();

		restore_function();
		start(0);
		show_one(TRANSMIT, (uintptr_t)scratch, FRAME_MAX, 0);
		function_reset(1);
		alloc_release(mark);
	}
}

/* --- BARs --- */

static void move_bar(uint64_t address)
{
	set(PCI_BAR0, 4, address);
	set(PCI_BAR0 + 4, 4, address >> 32);
	kick(TRANSMIT);
}

static void bar_over_memory(uint64_t address)
{
	const uint64_t pattern = 0x1122334455667788;
	volatile uint64_t *memory = (volatile uint64_t *)scratch;

	move_bar(address != 0 ? address : (uintptr_t)scratch);
	*memory = pattern;
	expect(*memory == pattern, "memory reads as %#lx", *memory);
}

static void bar_at_place(uint64_t place)
{
	move_bar(place_address((enum place)place));
}

/* Over the other device: its driver kicks, and may reach the wrong one as long as that lasts. */
static void bar_over_other(uint64_t offset)
{
	move_bar(place_address(OTHER_REGISTERS) + offset);
	virtqueue_kick(&witness.transmit);
	virtqueue_kick(&witness.receive);
	device.transport->set_status(&witness.device, device.transport->status(&witness.device));
	move_bar(function()->bars[0].base);
}

static void bar_moves_often(uint64_t n)
{
	uint64_t base = function()->bars[0].base, size = function()->bars[0].size;

	for (uint64_t i = 0; i < n; i++) {
		/* Not where the other one is: this is no trick on that. */
		move_bar(base + (i % 2 == 0 ? 64 * size : 0));
		kick(TRANSMIT);
	}
	move_bar(base);
}

/* One half after the other, all bits as for sizing, and decoding is on. */
static void bar_sized_when_running(uint64_t n)
{
	uint64_t base = function()->bars[0].base;

	for (uint64_t i = 0; i < n; i++) {
		set(PCI_BAR0, 4, UINT32_MAX);
		kick(TRANSMIT);
		set(PCI_BAR0 + 4, 4, UINT32_MAX);
		kick(TRANSMIT);
		move_bar(base);
	}
}

static void other_bars(uint64_t value)
{
	for (unsigned int bar = 2; bar < PCI_BARS; bar++) {
		set(PCI_BAR0 + 4 * bar, 4, value);
		expect(get(PCI_BAR0 + 4 * bar, 4) == 0, "BAR %u is %#x", bar,
		       get(PCI_BAR0 + 4 * bar, 4));
	}
	set(0x30, 4, value); /* the expansion ROM's */
}

/* --- the window into the BAR (4.1.4.9) --- */

static unsigned int window(void)
{
	return virtio_pci_capability(function(), VIRTIO_PCI_CAP_PCI);
}

static void open_window(uint32_t bar, uint32_t offset, uint32_t len)
{
	set(window() + VIRTIO_PCI_CAP_BAR, 1, bar);
	set(window() + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	set(window() + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static void use_window(uint32_t value)
{
	for (unsigned int size = 1; size <= 4; size *= 2)
		for (unsigned int at = 0; at < 4; at += size) {
			get(window() + VIRTIO_PCI_CAP_DATA + at, size);
			set(window() + VIRTIO_PCI_CAP_DATA + at, size, value);
		}
}

static void window_lengths(uint64_t value)
{
	static const uint32_t lengths[] = {0, 1, 2, 3, 4, 5, 8, 0x8000, 0x80000000, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		open_window(0, 0x2000, lengths[i]); /* no structure changes by writing there */
		use_window((uint32_t)value);
	}
}

static void window_offsets(uint64_t value)
{
	uint32_t size = (uint32_t)function()->bars[0].size;
	const uint32_t offsets[] = {size - 4, size - 2,	  size - 1,   size,	  size + 4,
				    size * 2, 0x7ffffffc, 0x80000000, 0xfffffffc, UINT32_MAX,
				    1,	      2,	  3};

	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (uint32_t len = 1; len <= 4; len *= 2) {
			open_window(0, offsets[i], len);
			use_window((uint32_t)value);
		}
}

static void window_bars(uint64_t value)
{
	for (uint32_t bar = 1; bar < 256; bar += bar < 8 ? 1 : 37) {
		open_window(bar, 0, 4);
		use_window((uint32_t)value);
	}
}

/* The window over the whole BAR: the same as writing there. */
static void window_everywhere(uint64_t value)
{
	for (uint32_t offset = 0; offset < function()->bars[0].size; offset += 212) {
		open_window(0, offset, 4);
		set(window() + VIRTIO_PCI_CAP_DATA, 4, value);
	}
}

/* A reset by the window, of the device whose configuration space that is. */
static void window_resets(uint64_t arg)
{
	(void)arg;
	open_window(0, offsetof(struct virtio_pci_common, device_status), 1);
	set(window() + VIRTIO_PCI_CAP_DATA, 1, 0);
	expect(device.transport->status(&device) == 0, "it isn't reset");
}

/* Without memory decoding, the window is the only way (4.1.4.9.2). */
static void window_without_memory(uint64_t arg)
{
	(void)arg;
	set(PCI_COMMAND, 2, 0);
	open_window(0, 0x3000 + 4 * TRANSMIT, 2);
	for (int i = 0; i < 100; i++)
		set(window() + VIRTIO_PCI_CAP_DATA, 2, TRANSMIT);
}

static const struct trick tricks[] = {
	{"PCI 6.1", "bytes are read", read_all, 1, GOES_ON, PCI | ONCE, 0},
	{"PCI 6.1", "words of 2 bytes are read", read_all, 2, GOES_ON, PCI | ONCE, 0},
	{"PCI 6.1", "words of 4 bytes are read", read_all, 4, GOES_ON, PCI | ONCE, 0},
	{"PCI 3.2.2.3.2", "words of 4 bytes are read by ports", read_by_ports, 4, GOES_ON,
	 PCI | ONCE, 0},
	{"PCI 6.1", "zeroes everywhere", write_all, 0, ANYTHING, PCI, 0},
	{"PCI 6.1", "ones everywhere", write_all, UINT32_MAX, ANYTHING, PCI, 0},
	{"PCI 6.1", "unaligned ones", write_unaligned, UINT32_MAX, ANYTHING, PCI, 0},
	{"PCI 6.1", "anywhere, any value", write_at_random, 1000, ANYTHING, PCI, 0},
	{"PCI 6.2.1", "what can only be read is written", write_identity, UINT32_MAX, GOES_ON, PCI,
	 0},
	{"PCI 6.1", "functions that don't exist, and the bridge", other_functions, UINT32_MAX,
	 GOES_ON, PCI | ONCE, 0},
	{"PCI 6.2.2", "all off, on a running device", command, 0, ANYTHING, PCI, 0},
	{"PCI 6.2.2", "no memory, on a running device", command, PCI_COMMAND_MASTER, ANYTHING, PCI,
	 0},
	{"PCI 6.2.2", "no bus master, on a running device", command, PCI_COMMAND_MEMORY, ANYTHING,
	 PCI, 0},
	{"PCI 6.2.2", "all command bits, on a running device", command, UINT16_MAX, ANYTHING, PCI,
	 0},
	{"PCI 6.2.2", "one command after the other", commands, 32, ANYTHING, PCI, 0},
	{"PCI 6.2.2", "bus master off and on, often", master_storm, 20, GOES_ON, PCI, 0},
	{"4.1.4.3.2", "rings move while the bus master is off", moves_and_pauses,
	 UINT64_MAX & ~0xfull, GOES_ON, PCI, 0},
	{"PCI PM 3.2.4", "D3hot, on a running device", power_off, 3, ANYTHING, PCI, 0},
	{"PCI PM 3.2.4", "D1, which isn't there", power_off, 1, GOES_ON, PCI, 0},
	{"PCI PM 3.2.4", "one power state after the other", power, 16, GOES_ON, PCI, 0},
	{"PCIe 6.6.2", "a function level reset, on a running device", function_reset, 1, ANYTHING,
	 PCI, 0},
	{"PCIe 6.6.2", "function level resets", function_reset, 50, ANYTHING, PCI, 0},
	{"PCIe 6.6.2", "function level resets, each of a running device", function_reset_midway, 10,
	 ANYTHING, PCI, 0},
	{"PCI 6.2.5.1", "the BAR over memory", bar_over_memory, 0, ANYTHING, PCI, 0},
	{"PCI 6.2.5.1", "the BAR over the first page", bar_over_memory, 0x8000, ANYTHING, PCI, 0},
	{"PCI 6.2.5.1", "the BAR", bar_at_place, 0, ANYTHING, PCI | EACH_PLACE, 0},
	{"PCI 6.2.5.1", "the BAR over that of the other device", bar_over_other, 0, GOES_ON, PCI,
	 0},
	{"PCI 6.2.5.1", "the BAR moves, often", bar_moves_often, 20, GOES_ON, PCI, 0},
	{"PCI 6.2.5.1", "the BAR is sized, on a running device", bar_sized_when_running, 10,
	 GOES_ON, PCI, 0},
	{"PCI 6.2.5.1", "BARs that don't exist", other_bars, UINT32_MAX, GOES_ON, PCI, 0},
	{"4.1.4.9", "a window of each length", window_lengths, UINT32_MAX, GOES_ON, PCI, 0},
	{"4.1.4.9", "a window at the BAR's end, behind it, unaligned", window_offsets, UINT32_MAX,
	 ANYTHING, PCI, 0},
	{"4.1.4.9", "a window into BARs that don't exist", window_bars, 0, GOES_ON, PCI, 0},
	{"4.1.4.9", "zeroes everywhere, by the window", window_everywhere, 0, ANYTHING, PCI, 0},
	{"4.1.4.9", "ones everywhere, by the window", window_everywhere, UINT32_MAX, ANYTHING, PCI,
	 0},
	{"4.1.4.9", "a reset by the window", window_resets, 0, ANYTHING, PCI, 0},
	{"4.1.4.9", "kicks by the window, without memory", window_without_memory, 0, ANYTHING, PCI,
	 0},
};

const struct trick_group config_pci_tricks = TRICK_GROUP(tricks);
