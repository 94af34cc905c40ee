/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/pci.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "devices/pci.h"
#include "devices/pci_msix.h"
#include "virtio/device.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/kvm.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

/* The BAR: a page for each structure. */
enum {
	BAR_COMMON = 0x0000,
	BAR_ISR = 0x1000,
	BAR_CONFIG = 0x2000,
	BAR_NOTIFY = 0x3000,
	BAR_MSIX_TABLE = 0x4000,
	BAR_MSIX_PBA = 0x5000,
	BAR_SIZE = 0x8000, /* a power of two */
	BAR_PAGE = 0x1000,
};

enum {
	VENDOR = 0x1af4,       /* 4.1.2.1 */
	DEVICE_BASE = 0x1040,  /* 4.1.2 */
	NOTIFY_MULTIPLIER = 4, /* each queue has its own address, room for NOTIFICATION_DATA */
	NOTIFY_QUEUES_MAX = BAR_PAGE / NOTIFY_MULTIPLIER,
	VECTORS_MAX = BAR_PAGE / PCI_MSIX_ENTRY_SIZE,
	COMMON_SIZE = 64, /* 4.1.4.3, with what follows <linux/virtio_pci.h>'s struct */

	/* Fields of the common configuration that Debian 12's header has no name for. */
	COMMON_ADMIN_QUEUE_INDEX = 60,
	COMMON_ADMIN_QUEUE_NUM = 62,

	/* What MSI-X calls events: the configuration first, then the queues. */
	EVENT_CONFIG = 0,
	EVENT_QUEUE = 1,
};
_Static_assert(sizeof(struct virtio_pci_cap) == 16, "4.1.4");
_Static_assert(offsetof(struct virtio_pci_cfg_cap, pci_cfg_data) == 16, "4.1.4.9");
_Static_assert((int)VIRTIO_MSI_NO_VECTOR == (int)PCI_MSIX_NO_VECTOR, "the same number");

struct virtio_pci {
	struct pci_function function; /* first: ops get it */
	struct virtio_device *dev;    /* owned */
	struct kvm_vm *vm;	      /* may be NULL */
	struct loop *loop;	      /* may be NULL */
	struct loop_watch resample;   /* its descriptor, an eventfd, is owned */
	uint32_t gsi;
	uint8_t window; /* the capability for access through the configuration space (4.1.4.9) */

	/* Under the device's lock. */
	struct pci_msix msix;
	bool mastering;	     /* the guest's bus master bit, when last looked at */
	bool withdrawn;	     /* it was cleared under running rings: see follow_bus_master() */
	bool unmapped_told;  /* the log has that an event got no vector */
	bool intx;	     /* KVM has the eventfds for the interrupt pin */
	uint64_t *doorbells; /* where KVM signals each queue's kick; 0: nowhere */
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t queue_select;
	uint32_t generation_read; /* the device's, when its configuration was last read */
	uint8_t generation;
};

/* --- kicks --- */

static void sync_doorbell(struct virtio_pci *pci, unsigned int index, uint64_t bar)
{
	const struct virtio_queue *queue = &pci->dev->queues[index];
	/* Any width, any value: the address says which queue it is (and so does a queue's own). */
	struct kvm_ioevent ev = {.addr = pci->doorbells[index]};
	uint64_t wanted = 0;

	if (queue->running && bar != PCI_NO_BAR)
		wanted = bar + BAR_NOTIFY + (uint64_t)index * NOTIFY_MULTIPLIER;
	if (wanted == pci->doorbells[index])
		return;
	if (ev.addr)
		kvm_vm_remove_ioeventfd(pci->vm, &ev, queue->kick_fd);
	ev.addr = wanted;
	/* Where KVM can't (another BAR is there, too), write_notify() does it, more slowly. */
	if (wanted && kvm_vm_add_ioeventfd(pci->vm, &ev, queue->kick_fd))
		ev.addr = 0;
	pci->doorbells[index] = ev.addr;
}

/* --- interrupts --- */

static int event_fd(const struct virtio_pci *pci, unsigned int event)
{
	return event == EVENT_CONFIG ? pci->dev->config_call_fd
				     : pci->dev->queues[event - EVENT_QUEUE].call_fd;
}

static unsigned int n_events(const struct virtio_pci *pci)
{
	return EVENT_QUEUE + pci->dev->n_queues;
}

/* @ret: what KVM said to an interrupt. A driver that would never get it learns it otherwise. */
static void check_interrupt(struct virtio_pci *pci, int ret)
{
	char why[96];

	if (!ret)
		return;
	snprintf(why, sizeof(why), "KVM has no interrupt for it: %s", strerror(-ret));
	virtio_device_break(pci->dev, why);
}

/*
 * Assert the pin if ISR is not 0. It is deasserted at the guest's EOI, and not before, even if ISR
 * was read; if it is not 0 by then (again, or still), resample_ready() asserts the pin again.
 */
static void assert_intx(struct virtio_pci *pci)
{
	if (pci->intx && atomic_load(&pci->dev->interrupt_status))
		fd_eventfd_signal(pci->dev->config_call_fd);
}

static void bind_intx(struct virtio_pci *pci)
{
	int ret = 0;

	/* What the eventfds hold may be long over; ISR, which is set before them, tells. */
	for (unsigned int i = 0; i < n_events(pci); i++)
		fd_eventfd_drain(event_fd(pci, i));
	for (unsigned int i = 0; pci->vm && i < n_events(pci) && !ret; i++)
		ret = kvm_vm_add_level_irqfd(pci->vm, pci->gsi, event_fd(pci, i), pci->resample.fd);
	pci->intx = true;
	check_interrupt(pci, ret);
	assert_intx(pci);
}

static void unbind_intx(struct virtio_pci *pci)
{
	for (unsigned int i = 0; pci->vm && i < n_events(pci); i++)
		kvm_vm_remove_irqfd(pci->vm, pci->gsi, event_fd(pci, i));
	pci->intx = false;
}

/*
 * With messages, ISR gathers what they have long told. The pin is for what none has told: that is
 * in the eventfds. A queue sets ISR and then signals: none may be in between, so they pause.
 */
static void messages_to_pin(struct virtio_pci *pci)
{
	uint32_t untold = 0;

	pci_msix_update(&pci->msix, false); /* off: that can't fail */
	for (unsigned int i = 0; i < n_events(pci); i++) {
		if (fd_eventfd_drain(event_fd(pci, i)))
			untold |= i == EVENT_CONFIG ? VIRTIO_MMIO_INT_CONFIG
						    : VIRTIO_MMIO_INT_VRING;
	}
	atomic_store(&pci->dev->interrupt_status, untold);
}

/* With the pin, KVM takes what the eventfds hold; ISR has what the driver hasn't seen. */
static void pin_to_messages(struct virtio_pci *pci)
{
	uint32_t untold = atomic_load(&pci->dev->interrupt_status);

	if (untold & VIRTIO_MMIO_INT_CONFIG)
		fd_eventfd_signal(pci->dev->config_call_fd);
	for (unsigned int i = 0; untold & VIRTIO_MMIO_INT_VRING && i < pci->dev->n_queues; i++) {
		if (pci->dev->queues[i].ready)
			fd_eventfd_signal(pci->dev->queues[i].call_fd);
	}
}

/* The guest has ended the interrupt, and KVM has deasserted the pin. */
static void resample_ready(struct loop_watch *watch, uint32_t events)
{
	struct virtio_pci *pci = watch->opaque;

	(void)events;
	fd_eventfd_drain(watch->fd);
	if (!atomic_load(&pci->dev->interrupt_status))
		return; /* as after most interrupts */
	pthread_mutex_lock(&pci->dev->lock);
	assert_intx(pci);
	pthread_mutex_unlock(&pci->dev->lock);
}

/* --- what follows from the state of function and device --- */

/*
 * Rings that lost memory to D3hot go on in D0: No_Soft_Reset promises that, and a driver that
 * relies on it doesn't write the status again. Those that lost it to a cleared Bus Master bit wait
 * for more than that bit: it is how one kernel quiets a device for the next (kexec), which sets the
 * bit first and resets the device then; buffers in what has become its memory must not be filled in
 * between. DRIVER_OK, written once more, says that the rings are still meant.
 */
static void follow_bus_master(struct virtio_pci *pci, bool may_master)
{
	bool mastering = pci_config_get(&pci->function, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;

	if (pci->mastering && !mastering &&
	    atomic_load(&pci->dev->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		pci->withdrawn = true;
	pci->mastering = mastering;
	if (may_master && !pci->withdrawn)
		virtio_device_resume(pci->dev, VIRTIO_SUSPEND_MEMORY);
	else
		virtio_device_suspend(pci->dev, VIRTIO_SUSPEND_MEMORY);
}

static void update(struct virtio_pci *pci)
{
	struct pci_function_state state = pci_function_state(&pci->function);
	bool messages = pci_msix_enabled(&pci->msix);
	bool intx;

	/* Queues pause while that changes, and go on with follow_bus_master(). */
	if (pci->msix.enabled != messages) {
		virtio_device_suspend(pci->dev, VIRTIO_SUSPEND_MEMORY);
		pci->dev->messages = messages;
	}
	if (pci->msix.enabled && !messages)
		messages_to_pin(pci);
	follow_bus_master(pci, state.bus_master);
	for (unsigned int i = 0; pci->vm && i < pci->dev->n_queues; i++)
		sync_doorbell(pci, i, state.bar);
	/* Before DRIVER_OK there is no interrupt (2.1.2), and most guests use MSI-X from then on.
	 */
	intx = state.intx && !messages &&
	       atomic_load(&pci->dev->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	/* An eventfd has one irqfd at a time. */
	if (pci->intx && !intx)
		unbind_intx(pci);
	if (messages && !pci->msix.enabled)
		pin_to_messages(pci);
	check_interrupt(pci, pci_msix_update(&pci->msix, messages));
	if (!pci->intx && intx)
		bind_intx(pci);
}

static void reset(struct virtio_pci *pci)
{
	virtio_device_set_status(pci->dev, 0);
	pci->withdrawn = false;
	pci->device_feature_select = pci->driver_feature_select = pci->queue_select = 0;
	/* 4.1.5.1.2.1: no event is mapped, and what has happened is over. */
	for (unsigned int i = 0; i < n_events(pci); i++)
		pci_msix_map(&pci->msix, i, VIRTIO_MSI_NO_VECTOR);
	for (unsigned int i = 0; i < n_events(pci); i++)
		fd_eventfd_drain(event_fd(pci, i));
	update(pci);
}

static void set_status(struct virtio_pci *pci, uint8_t status)
{
	if (status == 0) {
		reset(pci);
		return;
	}
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		pci->withdrawn = false;
	virtio_device_set_status(pci->dev, status);
	update(pci);
}

/* --- the common configuration (4.1.4.3) --- */

static struct virtio_queue *selected_queue(const struct virtio_pci *pci)
{
	return pci->queue_select < pci->dev->n_queues ? &pci->dev->queues[pci->queue_select] : NULL;
}

/* The size of the field at @offset, in bytes: the one width that it is accessed with (4.1.3.1). */
static unsigned int field_width(uint64_t offset)
{
	if (offset == VIRTIO_PCI_COMMON_STATUS || offset == VIRTIO_PCI_COMMON_CFGGENERATION)
		return 1;
	if (offset < VIRTIO_PCI_COMMON_MSIX ||
	    (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset < VIRTIO_PCI_COMMON_Q_NDATA))
		return offset % 4 == 0 ? 4 : 0;
	return offset < COMMON_SIZE && offset % 2 == 0 ? 2 : 0;
}

static uint32_t read_queue_field(const struct virtio_pci *pci, uint64_t offset)
{
	const struct virtio_queue *queue = selected_queue(pci);

	if (!queue)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->ring.size ? queue->ring.size : queue->size_max;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return pci_msix_mapped(&pci->msix, EVENT_QUEUE + pci->queue_select);
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->ready;
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case VIRTIO_PCI_COMMON_Q_NDATA:
		return pci->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)queue->ring.desc.value;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(queue->ring.desc.value >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)queue->ring.driver.value;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(queue->ring.driver.value >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)queue->ring.device.value;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(queue->ring.device.value >> 32);
	default:
		return 0; /* Q_RESET: done by the time it can be read */
	}
}

static uint32_t read_common(const struct virtio_pci *pci, uint64_t offset)
{
	const struct virtio_device *dev = pci->dev;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return pci->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return virtio_device_features(dev, pci->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return pci->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return pci->driver_feature_select < 2
			       ? (uint32_t)(dev->accepted >> 32 * pci->driver_feature_select)
			       : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return pci_msix_mapped(&pci->msix, EVENT_CONFIG);
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->n_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return atomic_load(&dev->status);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return pci->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return pci->queue_select;
	case COMMON_ADMIN_QUEUE_INDEX:
	case COMMON_ADMIN_QUEUE_NUM:
		return 0;
	default:
		return read_queue_field(pci, offset);
	}
}

static void set_low(gpa_t *addr, uint32_t value)
{
	addr->value = (addr->value & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(gpa_t *addr, uint32_t value)
{
	addr->value = (addr->value & UINT32_MAX) | (uint64_t)value << 32;
}

static void set_queue_size(const struct virtio_pci *pci, struct virtio_queue *queue, uint32_t size)
{
	bool packed = pci->dev->accepted >> VIRTIO_F_RING_PACKED & 1;

	/* 4.1.4.3.1: what is read back is a power of two, unless the ring is packed. */
	if (size && size <= queue->size_max && (packed || !(size & (size - 1))))
		queue->ring.size = (uint16_t)size;
}

/* The fields that describe the selected queue; they are fixed while it is enabled (4.1.4.3.2). */
static void write_queue_field(const struct virtio_pci *pci, struct virtio_queue *queue,
			      uint64_t offset, uint32_t value)
{
	if (queue->ready)
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		set_queue_size(pci, queue, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&queue->ring.desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&queue->ring.desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&queue->ring.driver, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&queue->ring.driver, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&queue->ring.device, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&queue->ring.device, value);
		break;
	default:
		break;
	}
}

static void enable_queue(struct virtio_pci *pci, struct virtio_queue *queue)
{
	if (!queue->ring.size)
		queue->ring.size = queue->size_max;
	virtio_device_set_queue_ready(pci->dev, pci->queue_select, true);
	update(pci);
}

static void reset_queue(struct virtio_pci *pci, struct virtio_queue *queue)
{
	virtio_device_reset_queue(pci->dev, pci->queue_select);
	pci_msix_map(&pci->msix, EVENT_QUEUE + pci->queue_select, VIRTIO_MSI_NO_VECTOR);
	fd_eventfd_drain(queue->call_fd);
	update(pci);
}

/* A driver that reads back that there is no vector gives up, and can't know why (4.1.5.1.2.1). */
static void map_event(struct virtio_pci *pci, unsigned int event, uint16_t vector)
{
	int ret = pci_msix_map(&pci->msix, event, vector);

	if (ret && !pci->unmapped_told)
		log_warning(pci->dev->log, "%s: KVM has no interrupt for it: %s", pci->dev->name,
			    strerror(-ret));
	pci->unmapped_told |= ret != 0;
}

static void write_common(struct virtio_pci *pci, uint64_t offset, uint32_t value)
{
	struct virtio_device *dev = pci->dev;
	struct virtio_queue *queue = selected_queue(pci);

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		pci->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		pci->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_device_accept_features(dev, pci->driver_feature_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		map_event(pci, EVENT_CONFIG, (uint16_t)value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(pci, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		pci->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (queue)
			map_event(pci, EVENT_QUEUE + pci->queue_select, (uint16_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (queue && value == 1)
			enable_queue(pci, queue);
		break;
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (queue && value == 1 && dev->accepted >> VIRTIO_F_RING_RESET & 1)
			reset_queue(pci, queue);
		break;
	default:
		if (queue)
			write_queue_field(pci, queue, offset, value);
		break;
	}
}

/* --- the BAR --- */

/* Bit 0: a queue, bit 1: the configuration (4.1.4.5). Reading takes them. Without the lock. */
static void read_isr(struct virtio_pci *pci, uint64_t offset, uint8_t *data, unsigned int len)
{
	memset(data, 0, len);
	if (offset == 0)
		data[0] = (uint8_t)atomic_exchange(&pci->dev->interrupt_status, 0);
}

static void read_config(struct virtio_pci *pci, uint64_t offset, uint8_t *data, unsigned int len)
{
	uint32_t generation;

	virtio_device_read_config(pci->dev, offset, data, len);
	/*
	 * 4.1.4.3.1: the generation changes when what was read may differ from what was read
	 * before. Counted like this, its eight bits can't come round unseen.
	 */
	generation = atomic_load(&pci->dev->config_generation);
	if (generation != pci->generation_read)
		pci->generation++;
	pci->generation_read = generation;
}

static void write_notify(struct virtio_pci *pci, uint64_t offset, unsigned int len)
{
	uint64_t index = offset / NOTIFY_MULTIPLIER;

	/* The value tells the queue once more and, with NOTIFICATION_DATA, where its ring stands.
	 */
	if (offset % NOTIFY_MULTIPLIER == 0 && len >= 2 && index < pci->dev->n_queues)
		fd_eventfd_signal(pci->dev->queues[index].kick_fd);
}

static void read_bar(struct pci_function *function, uint64_t offset, uint8_t *data,
		     unsigned int len)
{
	struct virtio_pci *pci = (struct virtio_pci *)function;
	uint64_t in_page = offset % BAR_PAGE;
	uint32_t value;

	if (offset - in_page == BAR_ISR) {
		read_isr(pci, in_page, data, len);
		return;
	}
	pthread_mutex_lock(&pci->dev->lock);
	switch (offset - in_page) {
	case BAR_COMMON:
		if (len == field_width(in_page)) {
			value = htole32(read_common(pci, in_page));
			memcpy(data, &value, len);
		}
		break;
	case BAR_CONFIG:
		read_config(pci, in_page, data, len);
		break;
	case BAR_MSIX_TABLE:
		pci_msix_read_table(&pci->msix, in_page, data, len);
		break;
	case BAR_MSIX_PBA:
		pci_msix_read_pba(&pci->msix, in_page, data, len);
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&pci->dev->lock);
}

static void write_bar(struct pci_function *function, uint64_t offset, const uint8_t *data,
		      unsigned int len)
{
	struct virtio_pci *pci = (struct virtio_pci *)function;
	uint64_t in_page = offset % BAR_PAGE;
	uint32_t value = 0;

	memcpy(&value, data, len);
	value = le32toh(value);
	pthread_mutex_lock(&pci->dev->lock);
	switch (offset - in_page) {
	case BAR_COMMON:
		if (len == field_width(in_page))
			write_common(pci, in_page, value);
		break;
	case BAR_NOTIFY:
		write_notify(pci, in_page, len);
		break;
	case BAR_MSIX_TABLE:
		check_interrupt(pci, pci_msix_write_table(&pci->msix, in_page, data, len));
		break;
	default: /* the configuration space of the devices that there are can only be read */
		break;
	}
	pthread_mutex_unlock(&pci->dev->lock);
}

/* --- the configuration space --- */

static bool overlap(unsigned int offset, unsigned int len, unsigned int from, unsigned int size)
{
	return offset < from + size && from < offset + len;
}

/* Where the window into the BAR is at present (4.1.4.9). False if it is nowhere. */
static bool find_window(struct virtio_pci *pci, uint32_t *offset, uint32_t *len)
{
	uint8_t at = pci->window;

	*offset = pci_config_get(&pci->function, at + VIRTIO_PCI_CAP_OFFSET, 4);
	*len = pci_config_get(&pci->function, at + VIRTIO_PCI_CAP_LENGTH, 4);
	return pci_config_get(&pci->function, at + VIRTIO_PCI_CAP_BAR, 1) == 0 &&
	       (*len == 1 || *len == 2 || *len == 4) && *offset % *len == 0 && *offset < BAR_SIZE;
}

static bool in_window(const struct virtio_pci *pci, unsigned int offset, unsigned int len)
{
	return overlap(offset, len, pci->window + sizeof(struct virtio_pci_cap), 4);
}

static void before_read(struct pci_function *function, unsigned int offset, unsigned int len)
{
	struct virtio_pci *pci = (struct virtio_pci *)function;
	uint32_t at, size, value = UINT32_MAX;
	bool interrupt;

	if (overlap(offset, len, PCI_STATUS, 1)) {
		/* 4.1.4.5.1: the pin's state before it is masked. */
		interrupt = !pci_msix_enabled(&pci->msix) &&
			    atomic_load(&pci->dev->interrupt_status);
		pci_config_set(function, PCI_STATUS, 1,
			       PCI_STATUS_CAP_LIST | (interrupt ? PCI_STATUS_INTERRUPT : 0));
	} else if (in_window(pci, offset, len) && find_window(pci, &at, &size)) {
		read_bar(function, at, (uint8_t *)&value, size);
		pci_config_set(function, pci->window + sizeof(struct virtio_pci_cap), size,
			       le32toh(value));
	}
}

static void written(struct pci_function *function, unsigned int offset, unsigned int len)
{
	struct virtio_pci *pci = (struct virtio_pci *)function;
	uint32_t at, size, value;

	if (in_window(pci, offset, len) && find_window(pci, &at, &size)) {
		value = htole32(pci_config_get(function,
					       pci->window + sizeof(struct virtio_pci_cap), size));
		write_bar(function, at, (const uint8_t *)&value, size);
		return;
	}
	pthread_mutex_lock(&pci->dev->lock);
	update(pci);
	pthread_mutex_unlock(&pci->dev->lock);
}

static void function_reset(struct pci_function *function)
{
	struct virtio_pci *pci = (struct virtio_pci *)function;

	pthread_mutex_lock(&pci->dev->lock);
	pci_msix_reset(&pci->msix);
	reset(pci);
	pthread_mutex_unlock(&pci->dev->lock);
}

static const struct pci_function_ops function_ops = {
	.read_bar = read_bar,
	.write_bar = write_bar,
	.before_read = before_read,
	.written = written,
	.reset = function_reset,
};

/* --- life --- */

/* One of the structures that tell the driver where to find what (4.1.4). */
static uint8_t add_structure(struct virtio_pci *pci, uint8_t type, uint8_t cap_len, uint32_t offset,
			     uint32_t length)
{
	uint8_t at = pci_add_capability(&pci->function, PCI_CAP_ID_VNDR, cap_len);
	struct virtio_pci_cap cap = {
		.cap_len = cap_len,
		.cfg_type = type,
		.offset = htole32(offset),
		.length = htole32(length),
	};

	/* The first two bytes are the list's. */
	memcpy(pci->function.config + at + VIRTIO_PCI_CAP_LEN, &cap.cap_len,
	       sizeof(cap) - VIRTIO_PCI_CAP_LEN);
	return at;
}

static void add_structures(struct virtio_pci *pci)
{
	enum {
		PLAIN = sizeof(struct virtio_pci_cap),
		NOTIFY = sizeof(struct virtio_pci_notify_cap),
		WINDOW = sizeof(struct virtio_pci_cfg_cap),
	};
	uint8_t *writable = pci->function.writable;
	uint8_t at;

	add_structure(pci, VIRTIO_PCI_CAP_COMMON_CFG, PLAIN, BAR_COMMON, COMMON_SIZE);
	at = add_structure(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, BAR_NOTIFY,
			   pci->dev->n_queues * NOTIFY_MULTIPLIER);
	pci->function.config[at + VIRTIO_PCI_NOTIFY_CAP_MULT] = NOTIFY_MULTIPLIER;
	add_structure(pci, VIRTIO_PCI_CAP_ISR_CFG, PLAIN, BAR_ISR, 1);
	if (pci->dev->ops->config_size)
		add_structure(pci, VIRTIO_PCI_CAP_DEVICE_CFG, PLAIN, BAR_CONFIG,
			      (uint32_t)pci->dev->ops->config_size);
	at = pci->window = add_structure(pci, VIRTIO_PCI_CAP_PCI_CFG, WINDOW, 0, 0);
	writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(writable + at + VIRTIO_PCI_CAP_OFFSET, 0xff, WINDOW - VIRTIO_PCI_CAP_OFFSET);
}

static int create(struct virtio_pci *pci, const struct virtio_pci_place *place, struct error *err)
{
	const struct pci_id id = {
		.vendor = VENDOR,
		.device = (uint16_t)(DEVICE_BASE + pci->dev->id),
		.subsystem_vendor = VENDOR,
		.subsystem = (uint16_t)(DEVICE_BASE + pci->dev->id),
		.class_code = pci->dev->id == VIRTIO_ID_NET ? 0x020000 : 0xff0000,
		.revision = 1,
	};
	unsigned int vectors = n_events(pci) < VECTORS_MAX ? n_events(pci) : VECTORS_MAX;
	int ret;

	assert(pci->dev->n_queues <= NOTIFY_QUEUES_MAX);
	pci_function_init(&pci->function, &function_ops, &id, BAR_SIZE);
	pci_add_standard_capabilities(&pci->function);
	add_structures(pci);
	pci->doorbells = calloc(pci->dev->n_queues, sizeof(*pci->doorbells));
	ret = pci_msix_init(&pci->msix, &pci->function, place->vm, vectors, n_events(pci),
			    BAR_MSIX_TABLE, BAR_MSIX_PBA);
	if (!pci->doorbells || ret)
		return error_set(err, -ENOMEM, "%s: out of memory", pci->dev->name);
	for (unsigned int i = 0; i < n_events(pci); i++)
		pci_msix_set_fd(&pci->msix, i, event_fd(pci, i));
	ret = fd_eventfd();
	pci->resample = (struct loop_watch){.fd = ret, .ready = resample_ready, .opaque = pci};
	if (ret >= 0 && pci->loop)
		ret = loop_watch_set(pci->loop, &pci->resample, EPOLLIN);
	if (ret < 0)
		return error_code(err, ret, "%s: creating its interrupt", pci->dev->name);
	/* After power-on there is no bus master. */
	virtio_device_suspend(pci->dev, VIRTIO_SUSPEND_MEMORY);
	ret = pci_host_add(place->host, place->slot, &pci->function, place->gsi, err);
	if (ret)
		error_prefix(err, "%s: ", pci->dev->name);
	return ret;
}

int virtio_pci_create(struct virtio_device *dev, const struct virtio_pci_place *place,
		      struct virtio_pci **out, struct error *err)
{
	struct virtio_pci *pci = calloc(1, sizeof(*pci));
	int ret;

	if (!pci) {
		ret = error_set(err, -ENOMEM, "%s: out of memory", dev->name);
		virtio_device_destroy(dev);
		return ret;
	}
	pci->dev = dev;
	pci->vm = place->vm;
	pci->loop = place->loop;
	pci->gsi = place->gsi;
	pci->resample.fd = -1;
	ret = create(pci, place, err);
	if (ret)
		virtio_pci_destroy(pci);
	else
		*out = pci;
	return ret;
}

void virtio_pci_destroy(struct virtio_pci *pci)
{
	if (!pci)
		return;
	virtio_device_set_status(pci->dev, 0);
	for (unsigned int i = 0; pci->vm && pci->doorbells && i < pci->dev->n_queues; i++)
		sync_doorbell(pci, i, PCI_NO_BAR);
	if (pci->intx)
		unbind_intx(pci);
	pci_msix_destroy(&pci->msix);
	if (pci->loop)
		loop_watch_remove(pci->loop, &pci->resample);
	fd_close(&pci->resample.fd);
	free(pci->doorbells);
	virtio_device_destroy(pci->dev);
	free(pci);
}
