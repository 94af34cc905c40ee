/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest against the PCI host bridge, virtio-pci and the device core: accesses to the
 * configuration space, through memory and ports, and to the BAR wherever it is, of any width. The
 * input is a list of steps. Afterwards the function must still reset and work. What a ring may hold
 * is fuzz_virtio_mmio's matter: here the device only writes down what it is told.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdint.h>
#include <string.h>

#include "devices/bus.h"
#include "devices/pci.h"
#include "tests/fuzz/fuzz.h"
#include "virtio/device.h"
#include "virtio/pci.h"
#include "vmm/core/fd.h"

enum {
	ECAM = 0xe0000000,
	PORT = 0xcf8,
	SLOTS = 2, /* two functions, whose BARs may meet */
	QUEUES = 3,
	STEPS_MAX = 1024,
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
};
#define WINDOW 0xf0000000ULL
#define HIGH   0x400000000ULL

struct device {
	struct virtio_device dev;
	unsigned int running; /* a bit for each queue */
};

struct machine {
	struct pci_host host;
	struct bus mmio, pio;
	struct device devices[SLOTS];
	struct virtio_pci *pci[SLOTS];
};

/* --- the device: queues run in turn, and only while the driver is ready --- */

static bool validate(const struct virtio_device *dev, uint64_t features)
{
	(void)dev;
	return !(features & 2);
}

static int start(struct virtio_device *dev)
{
	require(((struct device *)dev)->running == 0);
	return dev->accepted & 1 ? -5 : 0;
}

static int start_queue(struct virtio_device *dev, unsigned int index)
{
	struct device *device = (struct device *)dev;

	require(index < QUEUES && !(device->running >> index & 1));
	require(dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
	require(dev->queues[index].ring.size && dev->queues[index].ring.size <= 256);
	if (dev->accepted & 4 && index == 1)
		return -22;
	device->running |= 1u << index;
	return 0;
}

static void stop_queue(struct virtio_device *dev, unsigned int index)
{
	struct device *device = (struct device *)dev;

	require(device->running >> index & 1);
	device->running &= ~(1u << index);
}

static void read_config(struct virtio_device *dev, size_t offset, void *data, size_t len)
{
	(void)dev;
	require(offset < 12 && len <= 12 - offset);
	memset(data, 0x11, len);
}

static void destroy(struct virtio_device *dev)
{
	require(((struct device *)dev)->running == 0);
}

static const struct virtio_device_ops ops = {
	.validate_features = validate,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.read_config = read_config,
	.config_size = 12,
	.destroy = destroy,
};

/* --- the guest --- */

static void put(struct bus *bus, uint64_t addr, uint64_t value, unsigned int len)
{
	bus_write(bus, addr, (const uint8_t *)&value, len);
}

static uint32_t get(struct bus *bus, uint64_t addr, unsigned int len)
{
	uint64_t value = 0;

	bus_read(bus, addr, (uint8_t *)&value, len);
	return (uint32_t)value;
}

static uint64_t ecam(unsigned int slot, unsigned int offset)
{
	return ECAM + ((slot + 1) << 15) + offset;
}

static uint64_t bar(struct machine *m, unsigned int slot)
{
	return (get(&m->mmio, ecam(slot, PCI_BASE_ADDRESS_0), 4) & ~0xfu) |
	       (uint64_t)get(&m->mmio, ecam(slot, PCI_BASE_ADDRESS_1), 4) << 32;
}

static void enable(struct machine *m, unsigned int slot, uint64_t at)
{
	put(&m->mmio, ecam(slot, PCI_BASE_ADDRESS_0), at, 4);
	put(&m->mmio, ecam(slot, PCI_BASE_ADDRESS_1), at >> 32, 4);
	put(&m->mmio, ecam(slot, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

/* What a driver does at first, so that the steps need not find it out. */
static void initialize(struct machine *m, unsigned int slot, struct input *in)
{
	uint64_t at = slot ? WINDOW + 0x10000 : HIGH;

	enable(m, slot, at);
	put(&m->mmio, at + VIRTIO_PCI_COMMON_STATUS, 0, 1);
	put(&m->mmio, at + VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	put(&m->mmio, at + VIRTIO_PCI_COMMON_GF, 1 | take(in, 2), 4);
	put(&m->mmio, at + VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	put(&m->mmio, at + VIRTIO_PCI_COMMON_GF, take(in, 1), 4);
	for (unsigned int i = 0; i < QUEUES; i++) {
		put(&m->mmio, at + VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		put(&m->mmio, at + VIRTIO_PCI_COMMON_Q_SIZE, take(in, 2), 2);
		put(&m->mmio, at + VIRTIO_PCI_COMMON_Q_MSIX, i, 2);
		put(&m->mmio, at + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	put(&m->mmio, at + VIRTIO_PCI_COMMON_STATUS, RUNNING, 1);
}

static void step(struct machine *m, struct input *in)
{
	uint32_t op = take(in, 1), slot = op >> 3 & 1, offset;
	unsigned int len = 1u << (op >> 4 & 3);

	switch (op & 7) {
	case 0:
		put(&m->mmio, ecam(slot, take(in, 1)), take(in, 4), len);
		break;
	case 1:
		get(&m->mmio, ecam(slot, take(in, 2) & 0xfff), len);
		break;
	case 2: /* ports */
		put(&m->pio, PORT, 0x80000000u | take(in, 2), 4);
		offset = take(in, 1) % 8;
		len = len == 8 ? 4 : len;
		if (op & 0x40)
			put(&m->pio, PORT + offset, take(in, 4), len);
		else
			get(&m->pio, PORT + offset, len);
		break;
	case 3: /* the common configuration */
		put(&m->mmio, bar(m, slot) + take(in, 1) % 72, take(in, op & 0x40 ? 1 : 4), len);
		break;
	case 4: /* anywhere in the BAR, and a little past it */
		put(&m->mmio, bar(m, slot) + take(in, 2), take(in, 4), len);
		break;
	case 5:
		get(&m->mmio, bar(m, slot) + take(in, 2), len);
		break;
	case 6: /* what the device does, and the BAR's way */
		if (op & 0x40)
			virtio_device_break(&m->devices[slot].dev, "x");
		else if (op & 0x80)
			fd_eventfd_signal(m->devices[slot].dev.queues[len % QUEUES].call_fd);
		else
			enable(m, slot, (slot ? HIGH : WINDOW) + take(in, 1) * 0x1000);
		break;
	default:
		initialize(m, slot, in);
		break;
	}
}

static void create(struct machine *m)
{
	static const struct pci_places places = {
		.ecam = {ECAM, PCI_ECAM_SIZE},
		.port = PORT,
		.windows = {{WINDOW, 0x100000}, {HIGH, 0x100000}},
	};

	require(pci_host_init(&m->host, &places, &m->mmio, &m->pio, NULL) == 0);
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct virtio_pci_place place = {.host = &m->host, .slot = i + 1, .gsi = 10};

		m->devices[i].dev = (struct virtio_device){
			.ops = &ops,
			.id = 1,
			.name = "net0",
			.offered = 0xffULL | 1ULL << VIRTIO_F_VERSION_1 | 0xffULL << 32,
		};
		require(virtio_device_init(&m->devices[i].dev, QUEUES, 256) == 0);
		require(virtio_pci_create(&m->devices[i].dev, &place, &m->pci[i], NULL) == 0);
	}
}

/* Whatever happened: a function level reset, and all is as it was. */
static void check(struct machine *m, unsigned int slot)
{
	unsigned int at = get(&m->mmio, ecam(slot, PCI_CAPABILITY_LIST), 1);
	uint64_t bar_at = WINDOW + slot * 0x10000;

	require(get(&m->mmio, ecam(slot, PCI_VENDOR_ID), 4) == 0x10411af4);
	while (get(&m->mmio, ecam(slot, at), 1) != PCI_CAP_ID_EXP)
		at = get(&m->mmio, ecam(slot, at + 1), 1);
	put(&m->mmio, ecam(slot, at + PCI_EXP_DEVCTL), PCI_EXP_DEVCTL_BCR_FLR, 2);
	require(m->devices[slot].running == 0);
	enable(m, slot, bar_at);
	require(get(&m->mmio, bar_at + VIRTIO_PCI_COMMON_STATUS, 1) == 0);
	require(get(&m->mmio, bar_at + VIRTIO_PCI_COMMON_MSIX, 2) == VIRTIO_MSI_NO_VECTOR);
	require(get(&m->mmio, bar_at + VIRTIO_PCI_COMMON_Q_SIZE, 2) == 256);
	for (unsigned int i = 0; i < QUEUES; i++)
		require(fd_eventfd_drain(m->devices[slot].dev.queues[i].call_fd) == 0);
	/* Out of the other's way. */
	put(&m->mmio, ecam(slot, PCI_COMMAND), 0, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = {0};
	struct input in = {data, size};

	create(&m);
	for (int i = 0; in.len && i < STEPS_MAX; i++)
		step(&m, &in);
	for (unsigned int i = 0; i < SLOTS; i++)
		put(&m.mmio, ecam(i, PCI_COMMAND), 0, 2);
	for (unsigned int i = 0; i < SLOTS; i++)
		check(&m, i);
	for (unsigned int i = 0; i < SLOTS; i++)
		virtio_pci_destroy(m.pci[i]);
	pci_host_destroy(&m.host);
	return 0;
}
