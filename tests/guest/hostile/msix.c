/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: vectors that don't exist, and messages to anywhere (PCI 3.0, 6.8.2; virtio 4.1.5.1.2). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_pci.h"

enum {
	ENTRY = sizeof(struct pci_msix_entry),
	NOBODY = 0xfe, /* no CPU has this APIC ID */
	TABLE_MAX = 2048,
};

static struct frame frame;

static volatile struct virtio_pci_common *common(void)
{
	return device.pci->common;
}

static volatile struct pci_msix_entry *table(void)
{
	return device.pci->msix_table;
}

static unsigned int table_size(void)
{
	return (pci_read(&device.pci->function, device.pci->msix + PCI_MSIX_CONTROL, 2) &
		PCI_MSIX_SIZE_MASK) +
	       1;
}

static void set_control(uint32_t bits)
{
	pci_write(&device.pci->function, device.pci->msix + PCI_MSIX_CONTROL, 2, bits);
}

/* Something to tell, for the transmit queue. */
static void raise(void)
{
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	send(&frame);
}

/* All events, to all vectors that there could be. */
static void map(uint64_t vector)
{
	common()->config_msix_vector = (uint16_t)vector;
	for (uint16_t queue = 0; queue < 8; queue++) {
		common()->queue_select = queue;
		common()->queue_msix_vector = (uint16_t)vector;
		expect(vector < table_size() || common()->queue_msix_vector == VIRTIO_PCI_NO_VECTOR,
		       "queue %u has vector %#x", queue, common()->queue_msix_vector);
	}
	expect(vector < table_size() || common()->config_msix_vector == VIRTIO_PCI_NO_VECTOR,
	       "the configuration has vector %#x", common()->config_msix_vector);
	raise();
}

static void map_all(uint64_t arg)
{
	(void)arg;
	for (unsigned int vector = 0; vector < UINT16_MAX; vector += 111)
		common()->queue_msix_vector = (uint16_t)vector;
}

/* --- messages --- */

/* Where a driver's vectors go that it didn't mean: a message that no CPU takes. */
static void message(uint64_t address, uint32_t data)
{
	table()[0].address = (uint32_t)address;
	table()[0].address_high = (uint32_t)(address >> 32);
	table()[0].data = data;
	raise();
}

static void message_at(uint64_t place)
{
	message(place_address((enum place)place) & ~3ull, 0);
}

/* Delivery modes (Intel SDM volume 3, 11.11.2), each to a CPU that isn't there. */
static void delivery_mode(uint64_t mode)
{
	message(0xfee00000 | NOBODY << 12, (uint32_t)mode << 8 | 0x31);
}

/* Below 16 there are no interrupts; local APICs count them as errors. */
static void illegal_vector(uint64_t vector)
{
	message(0xfee00000, (uint32_t)vector);
}

static void unaligned_address(uint64_t address)
{
	message(address, 0);
}

/* --- the table --- */

static void write_table(uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < table_size() * ENTRY; at++)
			if (at % ENTRY >= 12 || width != 4) /* messages are another trick */
				poke((uintptr_t)table() + at, width == 8 ? 2 : width, value);
	raise();
}

static void read_table(uint64_t width)
{
	for (unsigned int at = 0; at < 0x1000; at += at < 256 ? 1 : 13)
		peek((uintptr_t)table() + at, (unsigned int)width);
}

static void behind_table(uint64_t value)
{
	for (unsigned int entry = table_size(); entry < 256; entry++)
		for (unsigned int at = 0; at < ENTRY; at += 4)
			poke((uintptr_t)&table()[entry] + at, 4, value);
	raise();
}

static void pending_bits(uint64_t value)
{
	uintptr_t pba = registers() +
			(pci_read(&device.pci->function, device.pci->msix + PCI_MSIX_PENDING, 4) &
			 ~7u);

	for (unsigned int width = 1; width <= 8; width *= 2)
		for (unsigned int at = 0; at < 64; at++) {
			poke(pba + at, width, value);
			peek(pba + at, width);
		}
}

/* --- on, off, masked --- */

static void controls(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		set_control((uint32_t)(i & 3) << 14);
		raise();
	}
	set_control(PCI_MSIX_ENABLE);
}

static void off_when_running(uint64_t bits)
{
	set_control((uint32_t)bits);
	raise();
}

static void masks(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		table()[0].control = i & 1;
		table()[1].control = random_number();
		if (i % 16 == 0)
			raise();
	}
	table()[0].control = 0;
}

static void messages_change(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		message(0xfee00000 | NOBODY << 12, random_number() & 0xff);
}

/* The pin, that nobody has set up; and the messages again. */
static void pin_and_messages(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		set_control(0);
		pci_write(&device.pci->function, PCI_COMMAND, 2,
			  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		raise();
		set_control(PCI_MSIX_ENABLE);
		raise();
	}
}

static const struct trick tricks[] = {
	{"4.1.5.1.2.1", "the vector behind the last one", map, 4, GOES_ON, PCI, 0},
	{"4.1.5.1.2.1", "vector 2047", map, TABLE_MAX - 1, GOES_ON, PCI, 0},
	{"4.1.5.1.2.1", "vector 65534", map, 65534, GOES_ON, PCI, 0},
	{"4.1.5.1.2.1", "a vector that nobody has set up", map, 1, GOES_ON, PCI, 0},
	{"4.1.5.1.2.1", "many vectors", map_all, 0, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "a message", message_at, 0, ANYTHING, PCI | EACH_PLACE, 0},
	{"PCI 6.8.2", "an SMI to nobody", delivery_mode, 2, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "a reserved delivery mode, to nobody", delivery_mode, 3, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "an NMI to nobody", delivery_mode, 4, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "an INIT to nobody", delivery_mode, 5, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "an external interrupt to nobody", delivery_mode, 7, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "a message with vector 0", illegal_vector, 0, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "a message with vector 15", illegal_vector, 15, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "a message to an unaligned address", unaligned_address, 0xfee00003, ANYTHING,
	 PCI, 0},
	{"PCI 6.8.2", "a message to an address of 64 bits", unaligned_address,
	 0xffffffff00000000ull, ANYTHING, PCI, 0},
	{"PCI 6.8.2", "the table is written at all widths, zeroes", write_table, 0, ANYTHING, PCI,
	 0},
	{"PCI 6.8.2", "the table is written at all widths, ones", write_table, UINT64_MAX, ANYTHING,
	 PCI, 0},
	{"PCI 6.8.2", "the table and what is behind it is read by bytes", read_table, 1, GOES_ON,
	 PCI | ONCE, 0},
	{"PCI 6.8.2", "the table and what is behind it is read, unaligned", read_table, 4, GOES_ON,
	 PCI | ONCE, 0},
	{"PCI 6.8.2", "the table and what is behind it is read by 8 bytes", read_table, 8, GOES_ON,
	 PCI | ONCE, 0},
	{"PCI 6.8.2", "entries behind the table", behind_table, UINT32_MAX, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "pending bits are written", pending_bits, UINT64_MAX, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "on and off, masked and not", controls, 16, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "off, on a running device", off_when_running, 0, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "all masked, on a running device", off_when_running,
	 PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "vectors are masked and unmasked, often", masks, 200, GOES_ON, PCI, 0},
	{"PCI 6.8.2", "the message changes, often", messages_change, 50, GOES_ON, PCI, 0},
	{"4.1.5.1.3", "the pin and messages, by turns", pin_and_messages, 8, GOES_ON, PCI, 0},
};

const struct trick_group msix_tricks = TRICK_GROUP(tricks);
