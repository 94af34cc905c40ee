/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-pci as a driver sees it (virtio 1.3, section 4.1); interrupts and kicks by a real KVM. */
#include "virtio/pci.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/pci.h"
#include "tests/unit/irqchip.h"
#include "virtio/device.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"

#define VERSION_1  (1ULL << VIRTIO_F_VERSION_1)
#define RING_RESET (1ULL << VIRTIO_F_RING_RESET)
#define PACKED	   (1ULL << VIRTIO_F_RING_PACKED)

enum {
	QUEUES = 3,
	SIZE_MAX_OFFERED = 256,
	SLOT = 2,
	GSI = 12,
	ECAM = 0xe0000000,
	READY = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
	RUNNING = READY | VIRTIO_CONFIG_S_DRIVER_OK,
	MASTER = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
	NO_VECTOR = 0xffff,

	/* struct virtio_pci_common_cfg, 4.1.4.3 */
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	QUEUE_NOTIF_CONFIG_DATA = 0x38,
	QUEUE_RESET = 0x3a,
};
#define WINDOW 0xf0000000ULL

static struct irqchip chip;
static bool with_kvm;
static struct loop *loop;
static struct pci_host host;
static struct bus mmio, pio;
static struct virtio_device dev;
static struct virtio_pci *pci;
static struct ring_state started_with[QUEUES];
static unsigned int prepared, started, stopped, destroyed;
static char config[12];

/* Where the structures are, found as a driver finds them. */
static uint64_t bar, common, notify, isr, device_config, table;
static uint32_t multiplier;
static unsigned int window, msix;

/* --- the device --- */

static bool validate(const struct virtio_device *d, uint64_t features)
{
	(void)d;
	(void)features;
	return true;
}

static int start(struct virtio_device *d)
{
	(void)d;
	prepared++;
	return 0;
}

static int start_queue(struct virtio_device *d, unsigned int index)
{
	started_with[index] = d->queues[index].ring;
	started++;
	return 0;
}

static void stop_queue(struct virtio_device *d, unsigned int index)
{
	d->queues[index].ring.next_avail++; /* one was served meanwhile */
	stopped++;
}

static void read_config(struct virtio_device *d, size_t offset, void *data, size_t len)
{
	(void)d;
	memcpy(data, config + offset, len);
}

static void destroy(struct virtio_device *d)
{
	(void)d;
	destroyed++;
}

static const struct virtio_device_ops ops = {
	.validate_features = validate,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.read_config = read_config,
	.config_size = sizeof(config),
	.destroy = destroy,
};

/* --- accesses --- */

static void read_bytes(uint64_t addr, void *data, unsigned int len)
{
	bus_read(&mmio, addr, data, len);
}

static uint32_t get(uint64_t addr, unsigned int len)
{
	uint8_t d[4] = {0};

	read_bytes(addr, d, len);
	return d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
}

static void set(uint64_t addr, uint64_t value, unsigned int len)
{
	uint8_t d[8];

	for (unsigned int i = 0; i < len; i++)
		d[i] = (uint8_t)(value >> 8 * i);
	bus_write(&mmio, addr, d, len);
}

static uint64_t ecam(unsigned int offset)
{
	return ECAM + (SLOT << 15) + offset;
}

static void set_command(uint32_t value)
{
	set(ecam(PCI_COMMAND), value, 2);
}

static void find_structures(void)
{
	unsigned int at = get(ecam(PCI_CAPABILITY_LIST), 1);

	bar = get(ecam(PCI_BASE_ADDRESS_0), 4) & ~0xfu;
	common = notify = isr = device_config = 0;
	window = msix = 0;
	for (int i = 0; at && i < 16; i++, at = get(ecam(at + 1), 1)) {
		uint64_t where = bar + get(ecam(at + 8), 4);
		uint32_t len = get(ecam(at + 12), 4);

		if (get(ecam(at), 1) == PCI_CAP_ID_MSIX) {
			msix = at;
			table = bar + (get(ecam(at + PCI_MSIX_TABLE), 4) & ~7u);
			ck_assert_uint_eq(get(ecam(at + PCI_MSIX_FLAGS), 2), QUEUES);
		}
		if (get(ecam(at), 1) != PCI_CAP_ID_VNDR)
			continue;
		ck_assert_uint_ge(get(ecam(at + 2), 1), 16);
		ck_assert_uint_eq(get(ecam(at + 4), 1), 0); /* BAR */
		switch (get(ecam(at + 3), 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			ck_assert_uint_ge(len, 60);
			common = where;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			multiplier = get(ecam(at + 16), 4);
			/* 4.1.4.4.1, with room for NOTIFICATION_DATA */
			ck_assert_uint_ge(len, (QUEUES - 1) * multiplier + 4);
			notify = where;
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			ck_assert_uint_ge(len, 1);
			isr = where;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			ck_assert_uint_eq(len, sizeof(config));
			device_config = where;
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			ck_assert_uint_ge(get(ecam(at + 2), 1), 20);
			window = at;
			break;
		default:
			ck_abort();
		}
	}
	ck_assert(common && notify && isr && device_config && window && msix);
	ck_assert_uint_eq((common | notify | device_config) % 4, 0);
}

/* --- fixtures --- */

static void create(struct kvm_vm *vm)
{
	static const struct pci_places places = {
		.ecam = {ECAM, PCI_ECAM_SIZE},
		.windows = {{WINDOW, 0x100000}},
	};
	struct virtio_pci_place place = {.host = &host, .slot = SLOT, .gsi = GSI, .vm = vm};

	prepared = started = stopped = destroyed = 0;
	memcpy(config, "0123456789ab", sizeof(config));
	memset(&mmio, 0, sizeof(mmio));
	ck_assert_int_eq(pci_host_init(&host, &places, &mmio, &pio, NULL), 0);
	if (vm)
		ck_assert_int_eq(loop_create(&loop, NULL), 0);
	place.loop = loop;
	dev = (struct virtio_device){
		.ops = &ops,
		.id = 1,
		.name = "net0",
		.offered = VERSION_1 | RING_RESET | PACKED | 0x0123456789ULL << 4,
	};
	ck_assert_int_eq(virtio_device_init(&dev, QUEUES, SIZE_MAX_OFFERED), 0);
	ck_assert_int_eq(virtio_pci_create(&dev, &place, &pci, NULL), 0);
	find_structures();
	set_command(MASTER);
}

static void setup(void)
{
	create(NULL);
}

static void setup_kvm(void)
{
	with_kvm = irqchip_create(&chip);
	if (with_kvm)
		create(&chip.vm);
}

static void teardown(void)
{
	virtio_pci_destroy(pci);
	pci_host_destroy(&host);
	ck_assert_uint_eq(destroyed, 1);
	ck_assert_uint_eq(started, stopped);
}

static void teardown_kvm(void)
{
	if (!with_kvm)
		return;
	teardown();
	loop_destroy(loop);
	irqchip_destroy(&chip);
}

#define NEED_KVM()                                            \
	do {                                                  \
		if (!with_kvm) {                              \
			printf("SKIP: no usable /dev/kvm\n"); \
			return;                               \
		}                                             \
	} while (0)

/* --- a driver --- */

static void negotiate(uint64_t features)
{
	set(common + DEVICE_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE, 1);
	set(common + DEVICE_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER, 1);
	for (uint32_t i = 0; i < 2; i++) {
		set(common + DRIVER_FEATURE_SELECT, i, 4);
		set(common + DRIVER_FEATURE, (uint32_t)(features >> 32 * i), 4);
	}
	set(common + DEVICE_STATUS, READY, 1);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), READY);
}

static void set_up_queue(uint32_t index)
{
	set(common + QUEUE_SELECT, index, 2);
	set(common + QUEUE_SIZE, 128, 2);
	set(common + QUEUE_DESC, 0x11111000, 4);
	set(common + QUEUE_DESC + 4, index, 4);
	set(common + QUEUE_DRIVER, 0x222222000, 8); /* both halves at once */
	set(common + QUEUE_DEVICE + 4, 3, 4);
	set(common + QUEUE_DEVICE, 0x33333000, 4);
	set(common + QUEUE_ENABLE, 1, 2);
}

static void run(uint64_t features)
{
	negotiate(features);
	for (uint32_t i = 0; i < QUEUES; i++)
		set_up_queue(i);
	set(common + DEVICE_STATUS, RUNNING, 1);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING);
}

static bool signalled(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

/* As a datapath does it. */
static void interrupt(unsigned int queue)
{
	atomic_fetch_or(&dev.interrupt_status, VIRTIO_PCI_ISR_CONFIG >> 1);
	fd_eventfd_signal(dev.queues[queue].call_fd);
}

/* --- tests --- */

START_TEST(identity)
{
	ck_assert_uint_eq(get(ecam(PCI_VENDOR_ID), 4), 0x10411af4);
	ck_assert_uint_eq(get(ecam(PCI_CLASS_REVISION), 4), 0x02000001);
	ck_assert_uint_ge(get(ecam(PCI_SUBSYSTEM_ID), 2), 0x40);
	ck_assert_uint_eq(get(ecam(PCI_INTERRUPT_PIN), 1), 1);
}
END_TEST

START_TEST(features)
{
	for (uint32_t i = 0; i < 2; i++) {
		set(common + DEVICE_FEATURE_SELECT, i, 4);
		ck_assert_uint_eq(get(common + DEVICE_FEATURE_SELECT, 4), i);
		ck_assert_uint_eq(get(common + DEVICE_FEATURE, 4),
				  (uint32_t)(dev.offered >> 32 * i));
	}
	for (uint32_t i = 2; i; i = i << 3) {
		set(common + DEVICE_FEATURE_SELECT, i, 4);
		ck_assert_uint_eq(get(common + DEVICE_FEATURE, 4), 0);
		set(common + DRIVER_FEATURE_SELECT, i, 4);
		set(common + DRIVER_FEATURE, 1, 4);
		ck_assert_uint_eq(get(common + DRIVER_FEATURE, 4), 0);
	}
	negotiate(VERSION_1 | 0x10);
	ck_assert_uint_eq(dev.accepted, VERSION_1 | 0x10);
	set(common + DRIVER_FEATURE_SELECT, 0, 4);
	ck_assert_uint_eq(get(common + DRIVER_FEATURE, 4), 0x10);
	set(common + DRIVER_FEATURE_SELECT, 1, 4);
	ck_assert_uint_eq(get(common + DRIVER_FEATURE, 4), 1);
}
END_TEST

START_TEST(queue_fields)
{
	ck_assert_uint_eq(get(common + NUM_QUEUES, 2), QUEUES);
	negotiate(VERSION_1);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
		set(common + QUEUE_ENABLE, 0, 2);
		set(common + QUEUE_ENABLE, 2, 2);
		ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 0);
		ck_assert_uint_eq(get(common + QUEUE_NOTIFY_OFF, 2), i);
		ck_assert_uint_eq(get(common + QUEUE_NOTIF_CONFIG_DATA, 2), i);
		if (i < 2)
			set_up_queue(i);
	}
	/* Left at what the device offers. */
	set(common + QUEUE_ENABLE, 1, 2);
	ck_assert_uint_eq(started, 0);
	set(common + DEVICE_STATUS, RUNNING, 1);
	ck_assert_uint_eq(started, QUEUES);
	ck_assert_uint_eq(started_with[2].size, SIZE_MAX_OFFERED);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(started_with[i].size, 128);
		ck_assert_uint_eq(started_with[i].desc.value, (uint64_t)i << 32 | 0x11111000);
		ck_assert_uint_eq(started_with[i].driver.value, 0x222222000);
		ck_assert_uint_eq(started_with[i].device.value, 0x333333000);
		set(common + QUEUE_SELECT, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 1);
		/* Fixed while enabled; and 0 doesn't disable. */
		set(common + QUEUE_SIZE, 64, 2);
		set(common + QUEUE_DESC, 0, 4);
		set(common + QUEUE_ENABLE, 0, 2);
		ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), 128);
		ck_assert_uint_eq(get(common + QUEUE_DESC, 4), 0x11111000);
		ck_assert_uint_eq(get(common + QUEUE_DESC + 4, 4), i);
		ck_assert_uint_eq(get(common + QUEUE_DRIVER, 4), 0x22222000);
		ck_assert_uint_eq(get(common + QUEUE_DRIVER + 4, 4), 2);
		ck_assert_uint_eq(get(common + QUEUE_DEVICE, 4), 0x33333000);
		ck_assert_uint_eq(get(common + QUEUE_DEVICE + 4, 4), 3);
	}
	ck_assert_uint_eq(stopped, 0);
	set(common + DEVICE_STATUS, 0, 1);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), 0);
	ck_assert_uint_eq(stopped, QUEUES);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 0);
		ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
	}
}
END_TEST

START_TEST(queue_size)
{
	set(common + QUEUE_SIZE, SIZE_MAX_OFFERED * 2, 2);
	set(common + QUEUE_SIZE, 100, 2);
	set(common + QUEUE_SIZE, 0, 2);
	ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
	negotiate(VERSION_1 | PACKED);
	set(common + QUEUE_SIZE, 100, 2);
	ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), 100);
}
END_TEST

START_TEST(no_such_queue)
{
	negotiate(VERSION_1 | RING_RESET);
	set(common + DEVICE_STATUS, RUNNING, 1);
	set(common + QUEUE_SELECT, _i ? 0xffff : QUEUES, 2);
	ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), 0);
	for (unsigned int at = QUEUE_SIZE; at < 0x40; at += 2) {
		set(common + at, 1, 2);
		set(common + at, 1, 4);
	}
	ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 0);
	ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	ck_assert_uint_eq(started, 0);
}
END_TEST

START_TEST(queue_reset)
{
	run(VERSION_1 | RING_RESET);
	set(common + QUEUE_SELECT, 1, 2);
	set(common + QUEUE_MSIX_VECTOR, 1, 2);
	fd_eventfd_signal(dev.queues[1].call_fd);
	fd_eventfd_signal(dev.queues[0].call_fd);
	set(common + QUEUE_RESET, 0, 2);
	ck_assert_uint_eq(stopped, 0);
	set(common + QUEUE_RESET, 1, 2);
	ck_assert_uint_eq(get(common + QUEUE_RESET, 2), 0);
	ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 0);
	ck_assert_uint_eq(get(common + QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
	ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	ck_assert_uint_eq(stopped, 1);
	ck_assert(!signalled(dev.queues[1].call_fd));
	ck_assert(signalled(dev.queues[0].call_fd));
	set_up_queue(1);
	ck_assert_uint_eq(started, QUEUES + 1);
	ck_assert_uint_eq(started_with[1].next_avail, 0);
}
END_TEST

START_TEST(queue_reset_not_negotiated)
{
	run(VERSION_1);
	set(common + QUEUE_RESET, 1, 2);
	ck_assert_uint_eq(stopped, 0);
	ck_assert_uint_eq(get(common + QUEUE_ENABLE, 2), 1);
}
END_TEST

static bool kicked(unsigned int queue)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		if (i != queue)
			ck_assert(!signalled(dev.queues[i].kick_fd));
	}
	return fd_eventfd_drain(dev.queues[queue].kick_fd) == 1;
}

START_TEST(notifications)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		set(notify + i * multiplier, i, 2);
		ck_assert(kicked(i));
		set(notify + i * multiplier, 0x12340000 | i, 4); /* NOTIFICATION_DATA */
		ck_assert(kicked(i));
		set(notify + i * multiplier, i, 1);
		set(notify + i * multiplier + 2, i, 2);
		ck_assert(!kicked(i));
	}
	set(notify + QUEUES * multiplier, QUEUES, 2);
	ck_assert(!kicked(0));
}
END_TEST

START_TEST(isr_status)
{
	run(VERSION_1);
	atomic_store(&dev.interrupt_status, 3);
	ck_assert_uint_eq(get(ecam(PCI_STATUS), 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	set(isr, 0, 1);
	ck_assert_uint_eq(get(isr, 1), 3);
	ck_assert_uint_eq(get(isr, 1), 0);
	ck_assert_uint_eq(get(ecam(PCI_STATUS), 2), PCI_STATUS_CAP_LIST);
	atomic_store(&dev.interrupt_status, 1);
	ck_assert_uint_eq(get(isr, 4), 1);
	ck_assert_uint_eq(get(isr, 4), 0);
	/* 4.1.4.5.1: the status bit is for the pin. */
	atomic_store(&dev.interrupt_status, 1);
	set(ecam(msix + PCI_MSIX_FLAGS), PCI_MSIX_FLAGS_ENABLE, 2);
	ck_assert_uint_eq(get(ecam(PCI_STATUS), 2), PCI_STATUS_CAP_LIST);
	set(common + DEVICE_STATUS, 0, 1);
	ck_assert_uint_eq(get(isr, 1), 0);
}
END_TEST

START_TEST(vectors)
{
	ck_assert_uint_eq(get(common + CONFIG_MSIX_VECTOR, 2), NO_VECTOR);
	set(common + CONFIG_MSIX_VECTOR, QUEUES, 2); /* the last one */
	ck_assert_uint_eq(get(common + CONFIG_MSIX_VECTOR, 2), QUEUES);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
		set(common + QUEUE_MSIX_VECTOR, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), i);
	}
	set(common + QUEUE_MSIX_VECTOR, QUEUES + 1, 2);
	ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	set(common + CONFIG_MSIX_VECTOR, NO_VECTOR, 2);
	ck_assert_uint_eq(get(common + CONFIG_MSIX_VECTOR, 2), NO_VECTOR);
	set(common + DEVICE_STATUS, 0, 1);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		ck_assert_uint_eq(get(common + QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	}
}
END_TEST

START_TEST(config_space)
{
	uint32_t generation = get(common + CONFIG_GENERATION, 1);
	char data[8];

	for (unsigned int i = 0; i < sizeof(config); i++)
		ck_assert_uint_eq(get(device_config + i, 1), (uint8_t)config[i]);
	read_bytes(device_config + 4, data, 8);
	ck_assert_mem_eq(data, "456789ab", 8);
	read_bytes(device_config + 10, data, 4);
	ck_assert_mem_eq(data, "ab\0\0", 4);
	set(device_config, 0, 4);
	ck_assert_uint_eq(get(device_config, 1), '0');
	ck_assert_uint_eq(get(common + CONFIG_GENERATION, 1), generation);
	/* 4.1.4.3.1: however often it changes, the driver sees that it has. */
	for (int i = 0; i < 256; i++) {
		config[0] = (char)i;
		virtio_device_config_changed(&dev);
	}
	get(device_config, 1);
	ck_assert_uint_ne(get(common + CONFIG_GENERATION, 1), generation);
}
END_TEST

/* Each field has one width; what else comes does nothing. */
START_TEST(widths)
{
	static const unsigned int sizes[] = {1, 2, 4};
	uint8_t before[64], after[64];
	unsigned int n = 0;

	negotiate(VERSION_1);
	set_up_queue(0);
	set(common + CONFIG_MSIX_VECTOR, 1, 2);
	set(common + QUEUE_MSIX_VECTOR, 1, 2);
	for (unsigned int i = 0; i < 64; i += 2) {
		before[i] = (uint8_t)get(common + i, 2);
		for (size_t k = 0; k < 3; k++) {
			bool answers;

			/* What isn't a field's width or place reads as ones. */
			answers = get(common + i, sizes[k]) != UINT32_MAX >> (32 - 8 * sizes[k]);
			n += answers;
			if (!answers)
				set(common + i, 0, sizes[k]);
			ck_assert_uint_eq(get(common + i + 1, 2), 0xffff);
			set(common + i + 1, 0, 2);
		}
	}
	/* 10 dwords, 11 words, the status. */
	ck_assert_uint_eq(n, 10 + 11 + 1);
	for (unsigned int i = 0; i < 64; i += 2)
		after[i] = (uint8_t)get(common + i, 2);
	for (unsigned int i = 0; i < 64; i += 2)
		ck_assert_uint_eq(before[i], after[i]);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), READY);
}
END_TEST

/* 4.1.4.9: the BAR by way of the configuration space, even if it answers nowhere. */
START_TEST(configuration_access)
{
	set_command(PCI_COMMAND_MASTER);
	set(ecam(window + 4), 0, 1);
	set(ecam(window + 12), 2, 4);
	set(ecam(window + 8), (uint32_t)(common + NUM_QUEUES - bar), 4);
	ck_assert_uint_eq(get(ecam(window + 16), 4) & 0xffff, QUEUES);
	ck_assert_uint_eq(get(ecam(window + 16), 2), QUEUES);
	set(ecam(window + 12), 1, 4);
	set(ecam(window + 8), (uint32_t)(common + DEVICE_STATUS - bar), 4);
	set(ecam(window + 16), VIRTIO_CONFIG_S_ACKNOWLEDGE, 1);
	ck_assert_uint_eq(dev.status, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ck_assert_uint_eq(get(ecam(window + 16), 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set(ecam(window + 12), 4, 4);
	set(ecam(window + 8), (uint32_t)(device_config + 4 - bar), 4);
	ck_assert_uint_eq(get(ecam(window + 16), 4), 0x37363534);
	set(ecam(window + 8), (uint32_t)(notify + multiplier - bar), 4);
	set(ecam(window + 16), 1, 4);
	ck_assert(kicked(1));
}
END_TEST

START_TEST(configuration_access_to_nowhere)
{
	static const uint32_t lens[] = {0, 3, 5, 8, 0x10000, 0xffffffff};
	static const uint32_t offsets[] = {2, 0x8000, 0x7ffe, 0xfffffffc, 0x80000000};

	set(ecam(window + 12), 4, 4);
	set(ecam(window + 4), 1, 1); /* another BAR */
	set(ecam(window + 16), 0x12345678, 4);
	ck_assert_uint_eq(get(ecam(window + 16), 4), 0x12345678);
	set(ecam(window + 4), 0, 1);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		set(ecam(window + 8), offsets[i], 4);
		set(ecam(window + 16), 0x12345678, 4);
		ck_assert_uint_eq(get(ecam(window + 16), 4), 0x12345678);
	}
	set(ecam(window + 8), 0, 4);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		set(ecam(window + 12), lens[i], 4);
		set(ecam(window + 16), 0x12345678, 4);
		ck_assert_uint_eq(get(ecam(window + 16), 4), 0x12345678);
	}
	ck_assert_uint_eq(get(common + DEVICE_FEATURE_SELECT, 4), 0);
}
END_TEST

static void set_power_state(unsigned int state)
{
	unsigned int at = get(ecam(PCI_CAPABILITY_LIST), 1);

	while (get(ecam(at), 1) != PCI_CAP_ID_PM)
		at = get(ecam(at + 1), 1);
	set(ecam(at + PCI_PM_CTRL), state, 2);
}

/* In D3hot the device touches no memory; in D0 it goes on, and no driver need write its status. */
START_TEST(power_states)
{
	run(VERSION_1);
	for (unsigned int i = 1; i <= 2; i++) {
		set_power_state(3);
		ck_assert_uint_eq(stopped, i * QUEUES);
		ck_assert_uint_eq(dev.status, RUNNING);
		set_power_state(0);
		ck_assert_uint_eq(started, (i + 1) * QUEUES);
		ck_assert_uint_eq(started_with[1].next_avail, i);
		ck_assert_uint_eq(started_with[1].size, 128);
	}
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING);
	ck_assert_uint_eq(prepared, 1);
}
END_TEST

/*
 * Bus mastering taken from running rings: they go on when it is back and the driver says DRIVER_OK
 * once more, in whatever order and state of power.
 */
START_TEST(bus_master_off)
{
	run(VERSION_1);
	if (_i & 1)
		set_power_state(3);
	set_command(PCI_COMMAND_MEMORY);
	set_power_state(0);
	ck_assert_uint_eq(stopped, QUEUES);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING);
	if (_i & 2)
		set(common + DEVICE_STATUS, RUNNING, 1);
	ck_assert_uint_eq(started, QUEUES);
	set_command(MASTER);
	if (!(_i & 2)) {
		/* As when another kernel has taken over, just before it resets the device. */
		set(common + DEVICE_STATUS, READY, 1);
		set(notify, 0, 2);
		ck_assert_uint_eq(started, QUEUES);
		set(common + DEVICE_STATUS, RUNNING, 1);
	}
	ck_assert_uint_eq(started, 2 * QUEUES);
	ck_assert_uint_eq(started_with[1].next_avail, 1);
	ck_assert_uint_eq(prepared, 1);
}
END_TEST

START_TEST(bus_master_off_then_reset)
{
	run(VERSION_1);
	set_command(PCI_COMMAND_MEMORY);
	set_command(MASTER);
	set(common + DEVICE_STATUS, 0, 1);
	ck_assert_uint_eq(started, QUEUES);
	run(VERSION_1);
	ck_assert_uint_eq(started, 2 * QUEUES);
	ck_assert_uint_eq(started_with[1].next_avail, 0);
}
END_TEST

/* The driver enables it after DRIVER_OK: that is late, but no reason to do nothing for ever. */
START_TEST(bus_master_late)
{
	set_command(PCI_COMMAND_MEMORY);
	run(VERSION_1);
	ck_assert_uint_eq(prepared, 0);
	ck_assert_uint_eq(started, 0);
	set_command(MASTER);
	ck_assert_uint_eq(prepared, 1);
	ck_assert_uint_eq(started, QUEUES);
}
END_TEST

START_TEST(memory_space_off)
{
	run(VERSION_1);
	set_command(PCI_COMMAND_MASTER);
	ck_assert_uint_eq(stopped, 0); /* it is only not reached */
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), 0xff);
	set_command(MASTER);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING);
}
END_TEST

START_TEST(function_level_reset)
{
	unsigned int at = get(ecam(PCI_CAPABILITY_LIST), 1);

	run(VERSION_1);
	set(common + CONFIG_MSIX_VECTOR, 1, 2);
	set(table + 16 + 12, 0, 4);
	interrupt(0);
	while (get(ecam(at), 1) != PCI_CAP_ID_EXP)
		at = get(ecam(at + 1), 1);
	set(ecam(at + PCI_EXP_DEVCTL), PCI_EXP_DEVCTL_BCR_FLR, 2);
	ck_assert_uint_eq(dev.status, 0);
	ck_assert_uint_eq(dev.accepted, 0);
	ck_assert_uint_eq(stopped, QUEUES);
	ck_assert(!signalled(dev.queues[0].call_fd));
	ck_assert_uint_eq(get(ecam(PCI_COMMAND), 2), 0);
	set(ecam(PCI_BASE_ADDRESS_0), bar, 4);
	set_command(MASTER);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), 0);
	ck_assert_uint_eq(get(common + CONFIG_MSIX_VECTOR, 2), NO_VECTOR);
	ck_assert_uint_eq(get(table + 16 + 12, 4), 1);
	run(VERSION_1);
}
END_TEST

/* --- with KVM --- */

/* Only KVM's ioeventfds; there is no vCPU to write, but an address can be taken once only. */
static bool doorbell_at(uint64_t addr)
{
	struct kvm_ioevent ev = {.addr = addr};
	int fd = fd_eventfd();
	int ret = kvm_vm_add_ioeventfd(&chip.vm, &ev, fd);

	if (!ret)
		kvm_vm_remove_ioeventfd(&chip.vm, &ev, fd);
	fd_close(&fd);
	return ret == -EEXIST;
}

static unsigned int doorbells(uint64_t at)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < QUEUES; i++)
		n += doorbell_at(at + i * multiplier);
	return n;
}

START_TEST(doorbells_follow)
{
	uint64_t moved = notify + 0x40000;

	NEED_KVM();
	ck_assert_uint_eq(doorbells(notify), 0);
	run(VERSION_1 | RING_RESET);
	ck_assert_uint_eq(doorbells(notify), QUEUES);
	set(ecam(PCI_BASE_ADDRESS_0), bar + 0x40000, 4);
	ck_assert_uint_eq(doorbells(notify), 0);
	ck_assert_uint_eq(doorbells(moved), QUEUES);
	set(ecam(PCI_BASE_ADDRESS_0), bar + 0x80000000, 4); /* out of the window */
	ck_assert_uint_eq(doorbells(moved), 0);
	set(ecam(PCI_BASE_ADDRESS_0), bar, 4);
	ck_assert_uint_eq(doorbells(notify), QUEUES);
	set_command(PCI_COMMAND_MASTER);
	ck_assert_uint_eq(doorbells(notify), 0);
	set_command(MASTER);
	ck_assert_uint_eq(doorbells(notify), QUEUES);
	set(common + QUEUE_SELECT, 1, 2);
	set(common + QUEUE_RESET, 1, 2);
	ck_assert_uint_eq(doorbells(notify), QUEUES - 1);
	ck_assert(!doorbell_at(notify + multiplier));
	set(common + DEVICE_STATUS, 0, 1);
	ck_assert_uint_eq(doorbells(notify), 0);
}
END_TEST

static void enable_msix(void)
{
	for (uint32_t i = 0; i <= QUEUES; i++) {
		set(table + i * 16, irqchip_msi_address, 4);
		set(table + i * 16 + 8, 0x40 + i, 4);
		set(table + i * 16 + 12, 0, 4);
	}
	set(ecam(msix + PCI_MSIX_FLAGS), PCI_MSIX_FLAGS_ENABLE, 2);
}

START_TEST(messages)
{
	NEED_KVM();
	run(VERSION_1);
	enable_msix();
	set(common + CONFIG_MSIX_VECTOR, 0, 2);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		set(common + QUEUE_MSIX_VECTOR, i ? 2 : 1, 2); /* 1 and 2 share one */
	}
	virtio_device_config_changed(&dev);
	irqchip_eventually(irqchip_take(&chip, 0x40));
	for (uint32_t i = 0; i < QUEUES; i++) {
		interrupt(i);
		irqchip_eventually(irqchip_take(&chip, i ? 0x42 : 0x41));
	}
	/* No vector, no interrupt; it comes when there is one. */
	set(common + QUEUE_MSIX_VECTOR, NO_VECTOR, 2);
	interrupt(2);
	ck_assert(signalled(dev.queues[2].call_fd));
	ck_assert(!irqchip_take(&chip, 0x42));
	set(common + QUEUE_MSIX_VECTOR, 3, 2);
	irqchip_eventually(irqchip_take(&chip, 0x43));
	/* None of it went to the pin. */
	ck_assert(!irqchip_pin(&chip, GSI));
	/* What happened before a reset is over. */
	set(common + QUEUE_MSIX_VECTOR, NO_VECTOR, 2);
	interrupt(2);
	set(common + DEVICE_STATUS, 0, 1);
	set(common + QUEUE_SELECT, 2, 2);
	set(common + QUEUE_MSIX_VECTOR, 3, 2);
	ck_assert(!irqchip_take(&chip, 0x43));
}
END_TEST

/* KVM takes no interrupt for an event: silence would leave the driver waiting. */
START_TEST(no_messages)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	NEED_KVM();
	run(VERSION_1);
	set(common + CONFIG_MSIX_VECTOR, 0, 2);
	set(common + QUEUE_SELECT, 1, 2);
	set(common + QUEUE_MSIX_VECTOR, 1, 2);
	if (_i) {
		enable_msix();
		set(table + 16 + 12, 1, 4);
	}
	ck_assert_int_ge(dup3(null, dev.queues[1].call_fd, O_CLOEXEC), 0);
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING);
	if (_i)
		set(table + 16 + 12, 0, 4);
	else
		enable_msix();
	ck_assert_uint_eq(get(common + DEVICE_STATUS, 1), RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	irqchip_eventually(irqchip_take(&chip, 0x40));
	close(null);
}
END_TEST

START_TEST(pin)
{
	NEED_KVM();
	negotiate(VERSION_1);
	atomic_store(&dev.interrupt_status, 1);
	ck_assert(!irqchip_pin(&chip, GSI)); /* no driver yet */
	get(isr, 1);
	run(VERSION_1);
	ck_assert(!irqchip_pin(&chip, GSI));
	interrupt(1);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	ck_assert_uint_eq(get(ecam(PCI_STATUS), 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	/* INTx Disable, and back: it still has a reason. */
	set_command(MASTER | PCI_COMMAND_INTX_DISABLE);
	ck_assert(!irqchip_pin(&chip, GSI));
	ck_assert_uint_eq(get(ecam(PCI_STATUS), 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	set_command(MASTER);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	/* Without a reason it is not asserted again, whatever an eventfd still holds. */
	set_command(MASTER | PCI_COMMAND_INTX_DISABLE);
	interrupt(1);
	get(isr, 1);
	set_command(MASTER);
	ck_assert(!irqchip_pin(&chip, GSI));
	/* To messages and back. */
	interrupt(2);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	enable_msix();
	ck_assert(!irqchip_pin(&chip, GSI));
	set(ecam(msix + PCI_MSIX_FLAGS), 0, 2);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	set(common + DEVICE_STATUS, 0, 1);
	ck_assert(!irqchip_pin(&chip, GSI));
}
END_TEST

static void map_all(void)
{
	set(common + CONFIG_MSIX_VECTOR, 0, 2);
	for (uint32_t i = 0; i < QUEUES; i++) {
		set(common + QUEUE_SELECT, i, 2);
		set(common + QUEUE_MSIX_VECTOR, i + 1, 2);
	}
}

/* From messages to the pin: it tells what no message has told, and nothing else. */
START_TEST(messages_to_pin)
{
	NEED_KVM();
	run(VERSION_1);
	map_all();
	enable_msix();
	interrupt(1);
	virtio_device_config_changed(&dev);
	irqchip_eventually(irqchip_take(&chip, 0x42));
	irqchip_eventually(irqchip_take(&chip, 0x40));
	set(ecam(msix + PCI_MSIX_FLAGS), 0, 2);
	ck_assert(!irqchip_pin(&chip, GSI));
	ck_assert_uint_eq(get(isr, 1), 0);
	ck_assert_uint_eq(dev.status, RUNNING);
	ck_assert_uint_eq(started - stopped, QUEUES);
	enable_msix();
	if (_i) {
		set(table + 12, 1, 4);
		virtio_device_config_changed(&dev);
	} else {
		set(table + 3 * 16 + 12, 1, 4);
		interrupt(2);
	}
	set(ecam(msix + PCI_MSIX_FLAGS), 0, 2);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	ck_assert_uint_eq(get(isr, 1), _i ? VIRTIO_PCI_ISR_CONFIG : 1);
}
END_TEST

/* From the pin to messages: they tell what the driver has not read of ISR. */
START_TEST(pin_to_messages)
{
	NEED_KVM();
	run(VERSION_1);
	map_all();
	interrupt(1);
	if (_i & 1)
		virtio_device_config_changed(&dev);
	irqchip_eventually(irqchip_pin(&chip, GSI));
	if (_i & 2)
		set_command(MASTER | PCI_COMMAND_INTX_DISABLE);
	enable_msix();
	irqchip_eventually(irqchip_take(&chip, 0x42));
	if (_i & 1)
		irqchip_eventually(irqchip_take(&chip, 0x40));
	else
		ck_assert(!irqchip_take(&chip, 0x40));
	/* What was read is told no more. */
	set(ecam(msix + PCI_MSIX_FLAGS), 0, 2);
	set_command(MASTER);
	interrupt(1);
	get(isr, 1);
	while (irqchip_take(&chip, 0x41) || irqchip_take(&chip, 0x42) || irqchip_take(&chip, 0x43))
		;
	enable_msix();
	ck_assert(!irqchip_take(&chip, 0x42));
}
END_TEST

static void *access_all(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < (with_kvm ? 500 : 30000); i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % 4 * 0x1000 +
				  (uint64_t)rand_r(&seed) % 64;
		unsigned int len = 1u << rand_r(&seed) % 4;
		uint8_t data[8];

		offset &= ~(uint64_t)(len - 1);
		switch (rand_r(&seed) % 8) {
		case 0:
			set(ecam((unsigned int)(offset & 0xf8)), (uint64_t)rand_r(&seed), len);
			break;
		case 1:
			set_command((uint32_t)rand_r(&seed) | PCI_COMMAND_MEMORY);
			set(ecam(PCI_BASE_ADDRESS_0), bar, 4);
			set(ecam(PCI_BASE_ADDRESS_1), 0, 4);
			break;
		case 2:
			enable_msix();
			set(table + 16 + 12, (uint64_t)rand_r(&seed), 4);
			break;
		case 3:
		case 4:
			read_bytes(bar + offset, data, len);
			break;
		default:
			set(bar + offset, (uint64_t)rand_r(&seed) % (rand_r(&seed) % 2 ? 4 : 256),
			    len);
			break;
		}
	}
	return NULL;
}

/* Several vCPUs at once, without any order, while the device interrupts. */
static void access_from_many_vcpus(void)
{
	pthread_t threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, access_all, (void *)i), 0);
	for (unsigned int i = 0; i < 2000; i++)
		interrupt(i % QUEUES);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

START_TEST(many_vcpus)
{
	access_from_many_vcpus();
}
END_TEST

START_TEST(many_vcpus_with_kvm)
{
	NEED_KVM();
	access_from_many_vcpus();
}
END_TEST

START_TEST(destroy_nothing)
{
	virtio_pci_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_pci");
	TCase *plain = tcase_create("virtio-pci"), *kvm = tcase_create("KVM");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(plain, setup, teardown);
	tcase_set_timeout(plain, 60);
	tcase_add_test(plain, identity);
	tcase_add_test(plain, features);
	tcase_add_test(plain, queue_fields);
	tcase_add_test(plain, queue_size);
	tcase_add_loop_test(plain, no_such_queue, 0, 2);
	tcase_add_test(plain, queue_reset);
	tcase_add_test(plain, queue_reset_not_negotiated);
	tcase_add_test(plain, notifications);
	tcase_add_test(plain, isr_status);
	tcase_add_test(plain, vectors);
	tcase_add_test(plain, config_space);
	tcase_add_test(plain, widths);
	tcase_add_test(plain, configuration_access);
	tcase_add_test(plain, configuration_access_to_nowhere);
	tcase_add_test(plain, power_states);
	tcase_add_loop_test(plain, bus_master_off, 0, 4);
	tcase_add_test(plain, bus_master_off_then_reset);
	tcase_add_test(plain, bus_master_late);
	tcase_add_test(plain, memory_space_off);
	tcase_add_test(plain, function_level_reset);
	tcase_add_test(plain, many_vcpus);
	tcase_add_test(plain, destroy_nothing);
	suite_add_tcase(suite, plain);
	tcase_add_checked_fixture(kvm, setup_kvm, teardown_kvm);
	tcase_set_timeout(kvm, 60);
	tcase_add_test(kvm, doorbells_follow);
	tcase_add_test(kvm, messages);
	tcase_add_loop_test(kvm, no_messages, 0, 2);
	tcase_add_test(kvm, pin);
	tcase_add_loop_test(kvm, messages_to_pin, 0, 2);
	tcase_add_loop_test(kvm, pin_to_messages, 0, 4);
	tcase_add_test(kvm, many_vcpus_with_kvm);
	suite_add_tcase(suite, kvm);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
