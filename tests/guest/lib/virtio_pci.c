/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio_pci.h"

#include "lib/guest.h"

static uint64_t offered(struct virtio_device *device)
{
	volatile struct virtio_pci_common *common = device->pci->common;
	uint64_t features;

	common->device_feature_select = 1;
	features = (uint64_t)common->device_feature << 32;
	common->device_feature_select = 0;
	return features | common->device_feature;
}

static void accept(struct virtio_device *device, uint64_t features)
{
	volatile struct virtio_pci_common *common = device->pci->common;

	common->driver_feature_select = 0;
	common->driver_feature = (uint32_t)features;
	common->driver_feature_select = 1;
	common->driver_feature = (uint32_t)(features >> 32);
}

static uint8_t status(struct virtio_device *device)
{
	return device->pci->common->device_status;
}

static void set_status(struct virtio_device *device, uint8_t value)
{
	device->pci->common->device_status = value;
}

static uint32_t config_generation(struct virtio_device *device)
{
	return device->pci->common->config_generation;
}

/* 4.1.3.1: fields by their width; the generation tells whether they belong together. */
static void read_config(struct virtio_device *device, size_t offset, void *data, size_t len)
{
	const volatile uint8_t *config = device->pci->config + offset;
	uint8_t *to = data;
	uint32_t generation;

	if (device->pci->config == NULL)
		fatal("virtio-pci: no device-specific configuration");
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
	device->pci->common->queue_select = queue;
	return device->pci->common->queue_size;
}

static bool queue_enabled(struct virtio_device *device, uint16_t queue)
{
	device->pci->common->queue_select = queue;
	return device->pci->common->queue_enable != 0;
}

static void write_address(volatile uint32_t address[2], uint64_t value)
{
	address[0] = (uint32_t)value;
	address[1] = (uint32_t)(value >> 32);
}

/* 4.1.5.1.2 and 4.1.5.1.3 */
static void enable_queue(struct virtio_device *device, uint16_t queue, uint16_t size,
			 const struct virtio_queue_areas *areas)
{
	struct virtio_pci *pci = device->pci;
	volatile struct virtio_pci_common *common = pci->common;

	if (queue >= VIRTIO_PCI_QUEUES_MAX)
		fatal("virtio-pci: this driver has room for %u queues", VIRTIO_PCI_QUEUES_MAX);
	if (queue_enabled(device, queue))
		fatal("virtio-pci: queue %u is enabled before it is set up", queue);
	common->queue_size = size;
	write_address(common->queue_desc, areas->descriptors);
	write_address(common->queue_driver, areas->driver);
	write_address(common->queue_device, areas->device);
	pci->notify_offsets[queue] = common->queue_notify_off;
	if (device->connected && pci->msix_on) {
		common->queue_msix_vector = 0;
		if (common->queue_msix_vector != 0)
			fatal("virtio-pci: queue %u refuses MSI-X vector 0", queue);
	}
	common->queue_enable = 1;
}

static void reset_queue(struct virtio_device *device, uint16_t queue)
{
	device->pci->common->queue_select = queue;
	device->pci->common->queue_reset = 1;
}

static bool queue_resetting(struct virtio_device *device, uint16_t queue)
{
	device->pci->common->queue_select = queue;
	return device->pci->common->queue_reset != 0;
}

/* 4.1.5.2 */
static void notify(struct virtio_device *device, uint16_t queue, uint32_t data)
{
	const struct virtio_pci *pci = device->pci;
	uintptr_t at = pci->notify + (uintptr_t)pci->notify_offsets[queue] * pci->notify_multiplier;

	if (virtio_has(device, VIRTIO_F_NOTIFICATION_DATA))
		*(volatile uint32_t *)at = data;
	else
		*(volatile uint16_t *)at = (uint16_t)data;
}

/* 4.1.4.5: reading takes the causes away. */
static uint32_t take_causes(struct virtio_device *device)
{
	uint32_t causes = __atomic_exchange_n(&device->causes, 0, __ATOMIC_RELAXED);

	return causes | *device->pci->isr | (device->pci->msix_on ? VIRTIO_CAUSE_USED : 0);
}

/* --- interrupts --- */

/* INTx is level-triggered: it comes again and again until the status was read. */
static void acknowledge(void *opaque)
{
	struct virtio_device *device = opaque;

	__atomic_fetch_or(&device->causes, *device->pci->isr, __ATOMIC_RELAXED);
}

void virtio_pci_set_msix(struct virtio_pci *pci, bool on)
{
	pci_write(&pci->function, pci->msix + PCI_MSIX_CONTROL, 2, on ? PCI_MSIX_ENABLE : 0);
	pci->msix_on = on;
}

struct irq virtio_pci_request_vector(struct virtio_pci *pci, unsigned int vector)
{
	volatile struct pci_msix_entry *entry = &pci->msix_table[vector];
	uint64_t address;
	uint32_t data;
	struct irq irq = irq_request_message(pci_requester(&pci->function), &address, &data);

	entry->address = (uint32_t)address;
	entry->address_high = (uint32_t)(address >> 32);
	entry->data = data;
	entry->control = 0;
	return irq;
}

static void connect_intx(struct virtio_device *device)
{
	struct pci_function *function = &device->pci->function;
	uint32_t command = pci_read(function, PCI_COMMAND, 2);

	device->irq = irq_request_level(pci_intx_gsi(function), IRQ_LEVEL_HIGH, acknowledge,
					device);
	pci_write(function, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_INTX_DISABLE);
}

static void connect(struct virtio_device *device)
{
	struct virtio_pci *pci = device->pci;

	if (!device->connected && arg_switch("msix", pci->msix != 0 && irq_has_messages())) {
		virtio_pci_set_msix(pci, true);
		device->irq = virtio_pci_request_vector(pci, 0);
	} else if (!device->connected) {
		connect_intx(device);
	}
	if (pci->msix_on)
		pci->common->config_msix_vector = 0;
}

static const struct virtio_transport pci_transport = {
	.name = "pci",
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

/* --- discovery --- */

unsigned int virtio_pci_capability(const struct pci_function *function,
				   enum virtio_pci_capability type)
{
	unsigned int at = 0;

	while ((at = pci_find_capability(function, PCI_CAP_VENDOR, at)) != 0)
		if (pci_read(function, at + VIRTIO_PCI_CAP_TYPE, 1) == type)
			return at;
	return 0;
}

/* Where the structure of @type is, which must have @size bytes; 0 if there is none. */
static uintptr_t find_structure(const struct pci_function *function,
				enum virtio_pci_capability type, uint32_t size)
{
	unsigned int at = virtio_pci_capability(function, type);
	unsigned int bar;
	uint32_t offset, length;

	if (at == 0)
		return 0;
	bar = pci_read(function, at + VIRTIO_PCI_CAP_BAR, 1);
	offset = pci_read(function, at + VIRTIO_PCI_CAP_OFFSET, 4);
	length = pci_read(function, at + VIRTIO_PCI_CAP_LENGTH, 4);
	if (bar >= PCI_BARS || function->bars[bar].base == 0)
		fatal("virtio-pci: structure %u is in BAR %u, which is not in memory", type, bar);
	if (length < size || offset + (uint64_t)length > function->bars[bar].size)
		fatal("virtio-pci: structure %u has %#x bytes at %#x of %#lx", type, length, offset,
		      function->bars[bar].size);
	return function->bars[bar].base + offset;
}

static void find_msix(struct virtio_pci *pci)
{
	uint32_t table;

	pci->msix = pci_find_capability(&pci->function, PCI_CAP_MSIX, 0);
	if (pci->msix == 0)
		return;
	table = pci_read(&pci->function, pci->msix + PCI_MSIX_TABLE, 4);
	pci->msix_table = (volatile struct pci_msix_entry *)(pci->function.bars[table & 7].base +
							     (table & ~7u));
	virtio_pci_set_msix(pci, false);
}

static void open(struct virtio_pci *pci)
{
	struct pci_function *function = &pci->function;
	unsigned int notify_cap;

	pci_enable(function);
	/* queue_reset and what follows may be missing, as in earlier versions. */
	pci->common = (volatile void *)find_structure(
		function, VIRTIO_PCI_CAP_COMMON,
		offsetof(struct virtio_pci_common, queue_notif_config_data));
	pci->isr = (volatile uint8_t *)find_structure(function, VIRTIO_PCI_CAP_ISR, 1);
	pci->config = (volatile uint8_t *)find_structure(function, VIRTIO_PCI_CAP_DEVICE, 0);
	pci->notify = find_structure(function, VIRTIO_PCI_CAP_NOTIFY, 2);
	notify_cap = virtio_pci_capability(function, VIRTIO_PCI_CAP_NOTIFY);
	if (pci->common == NULL || pci->isr == NULL || pci->notify == 0)
		fatal("virtio-pci: a structure is missing: common, notify or ISR");
	pci->notify_multiplier = pci_read(function, notify_cap + VIRTIO_PCI_CAP_MULTIPLIER, 4);
	find_msix(pci);
}

bool virtio_pci_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device)
{
	struct pci_function function;

	for (bool more = pci_next(&function, true); more; more = pci_next(&function, false)) {
		if (pci_read(&function, PCI_VENDOR, 2) != VIRTIO_PCI_VENDOR ||
		    pci_read(&function, PCI_DEVICE, 2) != VIRTIO_PCI_DEVICE_BASE + id ||
		    index-- != 0)
			continue;
		*device = (struct virtio_device){
			.transport = &pci_transport,
			.pci = alloc_pages(sizeof(*device->pci)),
		};
		device->pci->function = function;
		open(device->pci);
		return true;
	}
	return false;
}
