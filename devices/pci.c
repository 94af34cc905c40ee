/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/pci.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "devices/bus.h"
#include "vmm/core/error.h"

enum {
	PORT_DATA = 4, /* 0xcfc, from 0xcf8 on */
	EXPRESS_SIZE = 0x3c,

	/* Device Control: what can be set has no meaning here, but software may expect it to be. */
	EXPRESS_CONTROL = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
			  PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD |
			  PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ,
	COMMANDS = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		   PCI_COMMAND_INTX_DISABLE,
};
#define ADDRESS_ENABLE 0x80000000u /* of port 0xcf8 */
#define ADDRESS_BUS    0x00ff0000u

/* --- bytes of the configuration space --- */

static uint32_t get(const uint8_t *bytes, unsigned int len)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < len; i++)
		value |= (uint32_t)bytes[i] << 8 * i;
	return value;
}

static void put(uint8_t *bytes, unsigned int len, uint32_t value)
{
	for (unsigned int i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

uint32_t pci_config_get(struct pci_function *function, unsigned int offset, unsigned int len)
{
	uint32_t value;

	pthread_mutex_lock(&function->host->lock);
	value = get(function->config + offset, len);
	pthread_mutex_unlock(&function->host->lock);
	return value;
}

void pci_config_set(struct pci_function *function, unsigned int offset, unsigned int len,
		    uint32_t value)
{
	pthread_mutex_lock(&function->host->lock);
	put(function->config + offset, len, value);
	pthread_mutex_unlock(&function->host->lock);
}

/* --- making a function --- */

void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
		       const struct pci_id *id, uint64_t bar_size)
{
	uint8_t *config = function->config, *writable = function->writable;

	*function = (struct pci_function){
		.ops = ops,
		.bar_size = bar_size,
		.bar = PCI_NO_BAR,
		.next_capability = PCI_STD_HEADER_SIZEOF,
	};
	put(config + PCI_VENDOR_ID, 2, id->vendor);
	put(config + PCI_DEVICE_ID, 2, id->device);
	put(config + PCI_CLASS_REVISION, 4, id->class_code << 8 | id->revision);
	put(config + PCI_SUBSYSTEM_VENDOR_ID, 2, id->subsystem_vendor);
	put(config + PCI_SUBSYSTEM_ID, 2, id->subsystem);
	writable[PCI_CACHE_LINE_SIZE] = 0xff;
	put(writable + PCI_COMMAND, 2, COMMANDS);
	if (!bar_size)
		return;
	config[PCI_INTERRUPT_PIN] = 1; /* INTA */
	writable[PCI_INTERRUPT_LINE] = 0xff;
	/* Sizing is no special case: below its size an address has no bits that could be set. */
	put(config + PCI_BASE_ADDRESS_0, 4, PCI_BASE_ADDRESS_MEM_TYPE_64);
	put(writable + PCI_BASE_ADDRESS_0, 4, (uint32_t) ~(bar_size - 1));
	put(writable + PCI_BASE_ADDRESS_1, 4, (uint32_t)(~(bar_size - 1) >> 32));
}

uint8_t pci_add_capability(struct pci_function *function, uint8_t id, uint8_t len)
{
	uint8_t *config = function->config, at = (uint8_t)function->next_capability;

	assert(len <= PCI_CONFIG_SIZE - function->next_capability);
	config[at + PCI_CAP_LIST_ID] = id;
	config[function->last_capability ? function->last_capability + PCI_CAP_LIST_NEXT
					 : PCI_CAPABILITY_LIST] = at;
	config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	function->last_capability = at;
	function->next_capability = (uint16_t)((at + len + 3) & ~3);
	return at;
}

void pci_add_standard_capabilities(struct pci_function *function)
{
	uint8_t *config = function->config, *writable = function->writable, at;

	/* Version 3, no D1, D2 or PME; what is set up survives D3hot. */
	at = function->pm = pci_add_capability(function, PCI_CAP_ID_PM, PCI_PM_SIZEOF);
	put(config + at + PCI_PM_PMC, 2, 3);
	put(config + at + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET);
	put(writable + at + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);

	at = function->express = pci_add_capability(function, PCI_CAP_ID_EXP, EXPRESS_SIZE);
	put(config + at + PCI_EXP_FLAGS, 2, PCI_EXP_TYPE_RC_END << 4 | 2);
	put(config + at + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put(config + at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_READRQ_512B);
	put(writable + at + PCI_EXP_DEVCTL, 2, EXPRESS_CONTROL);
}

/* --- what a function may do; with the lock --- */

static bool in_d0(const struct pci_function *function)
{
	return !function->pm ||
	       (function->config[function->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK) == 0;
}

static bool commanded(const struct pci_function *function, uint32_t bits)
{
	return get(function->config + PCI_COMMAND, 2) & bits;
}

static bool in_window(const struct pci_host *host, uint64_t base, uint64_t size)
{
	for (int i = 0; i < 2; i++) {
		const struct memory_range *range = &host->windows[i].range;

		if (base >= range->base && base - range->base < range->size &&
		    size <= range->size - (base - range->base))
			return true;
	}
	return false;
}

static void decode(struct pci_function *function)
{
	uint64_t base = get(function->config + PCI_BASE_ADDRESS_0, 4) & PCI_BASE_ADDRESS_MEM_MASK;

	base |= (uint64_t)get(function->config + PCI_BASE_ADDRESS_1, 4) << 32;
	function->bar = PCI_NO_BAR;
	if (function->bar_size && in_d0(function) && commanded(function, PCI_COMMAND_MEMORY) &&
	    in_window(function->host, base, function->bar_size))
		function->bar = base;
}

struct pci_function_state pci_function_state(struct pci_function *function)
{
	struct pci_function_state state;

	pthread_mutex_lock(&function->host->lock);
	state = (struct pci_function_state){
		.bar = function->bar,
		.bus_master = in_d0(function) && commanded(function, PCI_COMMAND_MASTER),
		.intx = in_d0(function) && !commanded(function, PCI_COMMAND_INTX_DISABLE),
	};
	pthread_mutex_unlock(&function->host->lock);
	return state;
}

/* --- configuration accesses, inside a dword --- */

static void read_config(struct pci_function *function, unsigned int offset, uint8_t *data,
			unsigned int len)
{
	memset(data, 0, len);
	if (offset >= PCI_CONFIG_SIZE)
		return;
	if (function->ops)
		function->ops->before_read(function, offset, len);
	pthread_mutex_lock(&function->host->lock);
	memcpy(data, function->config + offset, len);
	pthread_mutex_unlock(&function->host->lock);
}

/* True if that resets the function. */
static bool store(struct pci_function *function, unsigned int offset, const uint8_t *data,
		  unsigned int len)
{
	uint8_t *config = function->config, power = config[function->pm + PCI_PM_CTRL];
	unsigned int flr = function->express + PCI_EXP_DEVCTL + 1;
	bool reset = function->express && offset <= flr && flr < offset + len &&
		     data[flr - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8;

	for (unsigned int i = 0; i < len; i++) {
		uint8_t mask = function->writable[offset + i];

		config[offset + i] = (uint8_t)((config[offset + i] & ~mask) | (data[i] & mask));
	}
	/* D1 and D2 aren't there: not entered (PCI Power Management 1.2, 3.2.4). */
	if (function->pm && (config[function->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK) % 3)
		config[function->pm + PCI_PM_CTRL] = power;
	if (reset)
		memcpy(config, function->power_on, PCI_CONFIG_SIZE);
	decode(function);
	return reset;
}

static void write_config(struct pci_function *function, unsigned int offset, const uint8_t *data,
			 unsigned int len)
{
	bool reset;

	if (offset >= PCI_CONFIG_SIZE)
		return;
	pthread_mutex_lock(&function->host->lock);
	reset = store(function, offset, data, len);
	pthread_mutex_unlock(&function->host->lock);
	if (!function->ops)
		return;
	if (reset)
		function->ops->reset(function);
	else
		function->ops->written(function, offset, len);
}

/* The function at an address as ECAM has it: slot << 15 | function << 12 | register. */
static struct pci_function *find_function(const struct pci_host *host, uint64_t address)
{
	return address >> 12 & 7 ? NULL : host->functions[address >> 15];
}

/*
 * An access is answered if it is aligned, and then in dwords. A bus has other widths, too (see
 * bus.h), PCI Express has not: aligned to themselves, they would leave a dword or the space.
 */
static bool is_aligned(uint64_t offset, unsigned int len)
{
	return !(len & (len - 1)) && offset % len == 0;
}

static void ecam_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct pci_function *function = find_function(device, offset);

	if (!function || !is_aligned(offset, len))
		return;
	for (unsigned int i = 0; i < len; i += 4)
		read_config(function, (offset + i) & 0xfff, data + i, len - i < 4 ? len - i : 4);
}

static void ecam_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct pci_function *function = find_function(device, offset);

	if (!function || !is_aligned(offset, len))
		return;
	for (unsigned int i = 0; i < len; i += 4)
		write_config(function, (offset + i) & 0xfff, data + i, len - i < 4 ? len - i : 4);
}

static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* What the data ports stand for: as for ECAM, or UINT64_MAX. */
static uint64_t selected(struct pci_host *host, uint64_t offset)
{
	uint32_t address;

	pthread_mutex_lock(&host->lock);
	address = host->address;
	pthread_mutex_unlock(&host->lock);
	if (!(address & ADDRESS_ENABLE) || address & ADDRESS_BUS)
		return UINT64_MAX;
	return (address & 0xff00) << 4 | (address & 0xfc) | offset % 4;
}

static void port_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct pci_host *host = device;
	uint64_t address;

	if (offset == 0 && len == 4) {
		pthread_mutex_lock(&host->lock);
		put(data, 4, host->address);
		pthread_mutex_unlock(&host->lock);
	} else if (offset >= PORT_DATA) {
		address = selected(host, offset);
		if (address != UINT64_MAX)
			ecam_read(host, address, data, len);
	}
}

static void port_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct pci_host *host = device;
	uint64_t address;

	if (offset == 0 && len == 4) {
		pthread_mutex_lock(&host->lock);
		host->address = get(data, 4) & ~3u;
		pthread_mutex_unlock(&host->lock);
	} else if (offset >= PORT_DATA) {
		address = selected(host, offset);
		if (address != UINT64_MAX)
			ecam_write(host, address, data, len);
	}
}

static const struct bus_ops port_ops = {.read = port_read, .write = port_write};

/* --- the windows --- */

/* Whose BAR holds all of the access; its offset there goes to *@offset. */
static struct pci_function *find_bar(struct pci_window *window, uint64_t *offset, unsigned int len)
{
	struct pci_function *found = NULL;
	uint64_t addr = window->range.base + *offset;

	pthread_mutex_lock(&window->host->lock);
	for (unsigned int i = 0; i < PCI_SLOTS && !found; i++) {
		struct pci_function *function = window->host->functions[i];

		/* PCI_NO_BAR is behind every address. */
		if (!function || addr < function->bar ||
		    addr - function->bar >= function->bar_size ||
		    len > function->bar_size - (addr - function->bar))
			continue;
		*offset = addr - function->bar;
		found = function;
	}
	pthread_mutex_unlock(&window->host->lock);
	return found;
}

static void window_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct pci_function *function = find_bar(device, &offset, len);

	for (unsigned int i = 0; function && i < len; i += 4)
		function->ops->read_bar(function, offset + i, data + i, len - i < 4 ? len - i : 4);
}

static void window_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct pci_function *function = find_bar(device, &offset, len);

	for (unsigned int i = 0; function && i < len; i += 4)
		function->ops->write_bar(function, offset + i, data + i, len - i < 4 ? len - i : 4);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* --- the bridge --- */

static int claim(struct bus *bus, const struct memory_range *range, const struct bus_ops *ops,
		 void *device, struct error *err)
{
	return bus_add(bus,
		       &(struct bus_range){
			       .base = range->base,
			       .size = range->size,
			       .ops = ops,
			       .device = device,
		       },
		       err);
}

int pci_host_init(struct pci_host *host, const struct pci_places *places, struct bus *mmio,
		  struct bus *pio, struct error *err)
{
	/* Nothing looks for a driver by these, but some tools name it: QEMU's generic bridge. */
	static const struct pci_id id = {
		.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000, /* host bridge */
	};
	const struct memory_range ports = {.base = places->port, .size = PCI_PORTS};
	int ret;

	*host = (struct pci_host){.next_bar = places->windows[0].base};
	pthread_mutex_init(&host->lock, NULL);
	pci_function_init(&host->bridge, NULL, &id, 0);
	host->bridge.host = host;
	host->functions[0] = &host->bridge;
	ret = claim(mmio, &places->ecam, &ecam_ops, host, err);
	if (!ret && places->port)
		ret = claim(pio, &ports, &port_ops, host, err);
	for (int i = 0; i < 2 && !ret; i++) {
		host->windows[i] = (struct pci_window){host, places->windows[i]};
		if (places->windows[i].size)
			ret = claim(mmio, &places->windows[i], &window_ops, &host->windows[i], err);
	}
	return ret;
}

void pci_host_destroy(struct pci_host *host)
{
	pthread_mutex_destroy(&host->lock);
}

int pci_host_add(struct pci_host *host, unsigned int slot, struct pci_function *function,
		 uint32_t gsi, struct error *err)
{
	uint64_t size = function->bar_size;
	uint64_t base = (host->next_bar + size - 1) & ~(size - 1);

	if (slot == 0 || slot >= PCI_SLOTS || host->functions[slot])
		return error_set(err, -EEXIST, "PCI: slot %u is not free", slot);
	if (!in_window(host, base, size))
		return error_set(err, -ENOSPC, "PCI: the memory window is full");
	host->next_bar = base + size;
	memcpy(function->power_on, function->config, PCI_CONFIG_SIZE);
	put(function->config + PCI_BASE_ADDRESS_0, 4,
	    (uint32_t)base | PCI_BASE_ADDRESS_MEM_TYPE_64);
	put(function->config + PCI_BASE_ADDRESS_1, 4, (uint32_t)(base >> 32));
	function->config[PCI_INTERRUPT_LINE] = (uint8_t)gsi;
	function->slot = (uint8_t)slot;
	function->host = host;
	host->functions[slot] = function;
	return 0;
}
