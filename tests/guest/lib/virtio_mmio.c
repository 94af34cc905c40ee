/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio_mmio.h"

#include "lib/guest.h"
#include "lib/platform.h"

uint32_t virtio_mmio_read(const struct virtio_device *device, unsigned int offset)
{
	return *(volatile uint32_t *)(device->base + offset);
}

void virtio_mmio_write(const struct virtio_device *device, unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)(device->base + offset) = value;
}

static uint64_t offered(struct virtio_device *device)
{
	uint64_t features;

	virtio_mmio_write(device, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)virtio_mmio_read(device, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	virtio_mmio_write(device, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | virtio_mmio_read(device, VIRTIO_MMIO_DEVICE_FEATURES);
}

static void accept(struct virtio_device *device, uint64_t features)
{
	virtio_mmio_write(device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	virtio_mmio_write(device, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	virtio_mmio_write(device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	virtio_mmio_write(device, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint8_t status(struct virtio_device *device)
{
	return (uint8_t)virtio_mmio_read(device, VIRTIO_MMIO_STATUS);
}

static void set_status(struct virtio_device *device, uint8_t value)
{
	virtio_mmio_write(device, VIRTIO_MMIO_STATUS, value);
}

static uint32_t config_generation(struct virtio_device *device)
{
	return virtio_mmio_read(device, VIRTIO_MMIO_CONFIG_GENERATION);
}

/* 4.2.2.2: byte fields by bytes; the generation tells whether they belong together. */
static void read_config(struct virtio_device *device, size_t offset, void *data, size_t len)
{
	const volatile uint8_t *config =
		(const volatile uint8_t *)(device->base + VIRTIO_MMIO_CONFIG + offset);
	uint8_t *to = data;
	uint32_t generation;

	do {
		generation = config_generation(device);
		if (len == 2)
			*(uint16_t *)data = *(const volatile uint16_t *)config;
		else if (len == 4)
			*(uint32_t *)data = *(const volatile uint32_t *)config;
		else
			for (size_t i = 0; i < len; i++)
				to[i] = config[i];
	} while (config_generation(device) != generation);
}

static uint16_t queue_max(struct virtio_device *device, uint16_t queue)
{
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_SEL, queue);
	return (uint16_t)virtio_mmio_read(device, VIRTIO_MMIO_QUEUE_SIZE_MAX);
}

static bool queue_enabled(struct virtio_device *device, uint16_t queue)
{
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_SEL, queue);
	return virtio_mmio_read(device, VIRTIO_MMIO_QUEUE_READY) != 0;
}

static void write_address(struct virtio_device *device, unsigned int offset, uint64_t address)
{
	virtio_mmio_write(device, offset, (uint32_t)address);
	virtio_mmio_write(device, offset + 4, (uint32_t)(address >> 32));
}

/* 4.2.3.2 */
static void enable_queue(struct virtio_device *device, uint16_t queue, uint16_t size,
			 const struct virtio_queue_areas *areas)
{
	if (queue_enabled(device, queue))
		fatal("virtio-mmio: queue %u is ready before it is set up", queue);
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_SIZE, size);
	write_address(device, VIRTIO_MMIO_QUEUE_DESC_LOW, areas->descriptors);
	write_address(device, VIRTIO_MMIO_QUEUE_DRIVER_LOW, areas->driver);
	write_address(device, VIRTIO_MMIO_QUEUE_DEVICE_LOW, areas->device);
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void reset_queue(struct virtio_device *device, uint16_t queue)
{
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_SEL, queue);
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_RESET, 1);
}

static bool queue_resetting(struct virtio_device *device, uint16_t queue)
{
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_SEL, queue);
	return virtio_mmio_read(device, VIRTIO_MMIO_QUEUE_RESET) != 0;
}

static void notify(struct virtio_device *device, uint16_t queue, uint32_t data)
{
	(void)queue;
	virtio_mmio_write(device, VIRTIO_MMIO_QUEUE_NOTIFY, data);
}

static uint32_t take_causes(struct virtio_device *device)
{
	uint32_t causes = virtio_mmio_read(device, VIRTIO_MMIO_INTERRUPT_STATUS);

	virtio_mmio_write(device, VIRTIO_MMIO_INTERRUPT_ACK, causes);
	return causes;
}

static void connect(struct virtio_device *device)
{
	if (!device->connected)
		device->irq = irq_request(device->gsi, IRQ_EDGE_HIGH);
}

static const struct virtio_transport mmio_transport = {
	.name = "mmio",
	.offered = offered,
	.accept = accept,
	.status = status,
	.set_status = set_status,
	.config_generation = config_generation,
	.read_config = read_config,
	.queue_max = queue_max,
	.queue_enabled = queue_enabled,
	.enable_queue = enable_queue,
	.reset_queue = reset_queue,
	.queue_resetting = queue_resetting,
	.notify = notify,
	.take_causes = take_causes,
	.connect = connect,
};

bool virtio_mmio_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device)
{
	uint64_t base;
	uint32_t gsi;

	for (unsigned int i = 0; platform_virtio_mmio(i, &base, &gsi); i++) {
		*device = (struct virtio_device){
			.transport = &mmio_transport,
			.base = base,
			.gsi = gsi,
		};
		/* Device ID 0 is a placeholder (4.2.3.1.1). */
		if (virtio_mmio_read(device, VIRTIO_MMIO_MAGIC) == VIRTIO_MMIO_MAGIC_VALUE &&
		    virtio_mmio_read(device, VIRTIO_MMIO_DEVICE_ID) == id && index-- == 0)
			return true;
	}
	return false;
}
