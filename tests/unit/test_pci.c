/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI host bridge and a function on it, as a guest sees them through memory and ports. */
#include "devices/pci.h"

#include <check.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "devices/bus.h"
#include "vmm/core/error.h"

enum {
	SLOT = 3,
	GSI = 13,
	BAR_SIZE = 0x4000,
	ECAM = 0xe0000000,
	PORT = 0xcf8,
};
#define WINDOW	    0xf0000000ULL
#define WINDOW_SIZE 0x00100000ULL
#define HIGH	    0x400000000ULL
#define HIGH_SIZE   0x400000000ULL

static const struct pci_places places = {
	.ecam = {ECAM, PCI_ECAM_SIZE},
	.port = PORT,
	.windows = {{WINDOW, WINDOW_SIZE}, {HIGH, HIGH_SIZE}},
};

/* A function that writes down what happens to it. */
static struct probe {
	struct pci_function function;
	uint64_t offset;
	unsigned int len, reads, writes, resets, written_at, written_len;
	uint8_t data[8];
	struct pci_function_state seen; /* by the last written() or reset() */
} probe;

static void probe_read(struct pci_function *function, uint64_t offset, uint8_t *data,
		       unsigned int len)
{
	struct probe *p = (struct probe *)function;

	p->offset = offset;
	p->len = len;
	p->reads++;
	data[0] = 0x5a;
}

static void probe_write(struct pci_function *function, uint64_t offset, const uint8_t *data,
			unsigned int len)
{
	struct probe *p = (struct probe *)function;

	p->offset = offset;
	p->len = len;
	memcpy(p->data + 4 * (p->writes++ % 2), data, len);
}

static void probe_before_read(struct pci_function *function, unsigned int offset, unsigned int len)
{
	ck_assert_uint_eq(offset / 4, (offset + len - 1) / 4);
	pci_config_get(function, offset, len); /* the host's lock is free */
}

static void probe_written(struct pci_function *function, unsigned int offset, unsigned int len)
{
	struct probe *p = (struct probe *)function;

	p->written_at = offset;
	p->written_len = len;
	p->seen = pci_function_state(function);
}

static void probe_reset(struct pci_function *function)
{
	struct probe *p = (struct probe *)function;

	p->resets++;
	p->seen = pci_function_state(function);
}

static const struct pci_function_ops ops = {
	.read_bar = probe_read,
	.write_bar = probe_write,
	.before_read = probe_before_read,
	.written = probe_written,
	.reset = probe_reset,
};

static const struct pci_id id = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.class_code = 0x020000,
	.revision = 7,
};

static struct pci_host host;
static struct bus mmio, pio;
static struct error err;

static void setup(void)
{
	memset(&mmio, 0, sizeof(mmio));
	memset(&pio, 0, sizeof(pio));
	memset(&probe, 0, sizeof(probe));
	ck_assert_int_eq(pci_host_init(&host, &places, &mmio, &pio, &err), 0);
	pci_function_init(&probe.function, &ops, &id, BAR_SIZE);
	pci_add_standard_capabilities(&probe.function);
	ck_assert_int_eq(pci_host_add(&host, SLOT, &probe.function, GSI, &err), 0);
}

static void teardown(void)
{
	pci_host_destroy(&host);
}

/* --- accesses --- */

static uint64_t read_bus(const struct bus *bus, uint64_t addr, unsigned int len)
{
	uint8_t data[8];
	uint64_t value = 0;

	bus_read(bus, addr, data, len);
	for (unsigned int i = len; i--;)
		value = value << 8 | data[i];
	return value;
}

static void write_bus(const struct bus *bus, uint64_t addr, uint64_t value, unsigned int len)
{
	uint8_t data[8];

	for (unsigned int i = 0; i < len; i++)
		data[i] = (uint8_t)(value >> 8 * i);
	bus_write(bus, addr, data, len);
}

static uint64_t ecam(unsigned int slot, unsigned int offset)
{
	return ECAM + ((uint64_t)slot << 15) + offset;
}

static uint32_t get(unsigned int offset, unsigned int len)
{
	return (uint32_t)read_bus(&mmio, ecam(SLOT, offset), len);
}

static void set(unsigned int offset, uint32_t value, unsigned int len)
{
	write_bus(&mmio, ecam(SLOT, offset), value, len);
}

static uint64_t bar(void)
{
	return (get(PCI_BASE_ADDRESS_0, 4) & ~0xfu) | (uint64_t)get(PCI_BASE_ADDRESS_1, 4) << 32;
}

static void move_bar(uint64_t addr)
{
	set(PCI_BASE_ADDRESS_0, (uint32_t)addr, 4);
	set(PCI_BASE_ADDRESS_1, (uint32_t)(addr >> 32), 4);
}

static unsigned int find_capability(uint8_t wanted)
{
	unsigned int at = get(PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++, at = get(at + PCI_CAP_LIST_NEXT, 1)) {
		ck_assert_uint_ge(at, 0x40);
		ck_assert_uint_eq(at % 4, 0);
		if (get(at, 1) == wanted)
			return at;
	}
	return 0;
}

/* --- tests --- */

START_TEST(identity)
{
	ck_assert_uint_eq(get(PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(get(PCI_CLASS_REVISION, 4), 0x02000007);
	ck_assert_uint_eq(get(PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	ck_assert_uint_eq(get(PCI_HEADER_TYPE, 1), 0);
	ck_assert_uint_eq(get(PCI_INTERRUPT_LINE, 2), 0x100 | GSI);
	ck_assert_uint_eq(get(PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(get(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	/* What has no meaning for us can't be written. */
	for (unsigned int offset = 0; offset < 0x1000; offset += 4) {
		if (offset != PCI_COMMAND && offset != PCI_CACHE_LINE_SIZE &&
		    offset != PCI_INTERRUPT_LINE && (offset < 0x10 || offset >= 0x18) &&
		    (offset < 0x40 || offset >= PCI_CONFIG_SIZE)) {
			uint32_t before = get(offset, 4);

			set(offset, ~before, 4);
			ck_assert_uint_eq(get(offset, 4), before);
		}
	}
	ck_assert_uint_eq(get(0x100, 4), 0); /* no extended capabilities */
	ck_assert_uint_eq(get(0xffc, 4), 0);
}
END_TEST

START_TEST(bridge)
{
	ck_assert_uint_eq(read_bus(&mmio, ecam(0, 0), 4), 0x00081b36);
	ck_assert_uint_eq(read_bus(&mmio, ecam(0, PCI_CLASS_REVISION), 4), 0x06000000);
	write_bus(&mmio, ecam(0, PCI_COMMAND), 0xffff, 2);
	write_bus(&mmio, ecam(0, PCI_BASE_ADDRESS_0), 0xffffffff, 4);
	ck_assert_uint_eq(read_bus(&mmio, ecam(0, PCI_BASE_ADDRESS_0), 4), 0);
	ck_assert_uint_eq(read_bus(&mmio, WINDOW, 4), 0xffffffff);
}
END_TEST

START_TEST(nobody_there)
{
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		for (unsigned int function = slot == SLOT; function < 8; function++) {
			uint64_t at = ecam(slot, function << 12);

			ck_assert_uint_eq(read_bus(&mmio, at, 4), 0xffffffff);
			write_bus(&mmio, at + PCI_COMMAND, 0xff, 1);
		}
	}
	ck_assert_uint_eq(get(PCI_COMMAND, 2), 0);
}
END_TEST

START_TEST(widths)
{
	ck_assert_uint_eq(get(PCI_DEVICE_ID, 2), 0x5678);
	ck_assert_uint_eq(get(PCI_DEVICE_ID + 1, 1), 0x56);
	ck_assert_uint_eq(read_bus(&mmio, ecam(SLOT, 0), 8), 0x0010000056781234);
	/* Not aligned: no such access on PCI. */
	ck_assert_uint_eq(get(1, 2), 0xffff);
	ck_assert_uint_eq(get(2, 4), 0xffffffff);
	ck_assert_uint_eq(read_bus(&mmio, ecam(SLOT, 4), 8), UINT64_MAX);
	ck_assert_uint_eq(get(0xfff, 2), 0xffff);
	set(PCI_CACHE_LINE_SIZE - 1, 0x1010, 2);
	ck_assert_uint_eq(get(PCI_CACHE_LINE_SIZE, 1), 0);
	set(PCI_CACHE_LINE_SIZE, 0x10, 1);
	ck_assert_uint_eq(get(PCI_CACHE_LINE_SIZE, 1), 0x10);
	ck_assert_uint_eq(probe.written_at, PCI_CACHE_LINE_SIZE);
	ck_assert_uint_eq(probe.written_len, 1);
	set(PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	set(PCI_COMMAND + 1, PCI_COMMAND_INTX_DISABLE >> 8, 1);
	ck_assert_uint_eq(get(PCI_COMMAND, 2), PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}
END_TEST

/* KVM's instruction emulator has such: "ljmp m16:32" reads 6 bytes, a page's end splits any. */
START_TEST(odd_widths)
{
	static const unsigned int lens[] = {3, 5, 6, 7};
	uint8_t config[PCI_CONFIG_SIZE];

	memcpy(config, probe.function.config, sizeof(config));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (unsigned int at = 0; at <= PCI_CONFIG_SIZE; at++) {
			ck_assert_uint_eq(read_bus(&mmio, ecam(SLOT, at), lens[i]),
					  UINT64_MAX >> (64 - 8 * lens[i]));
			write_bus(&mmio, ecam(SLOT, at), 0, lens[i]);
			ck_assert_uint_eq(probe.written_len, 0);
		}
	}
	ck_assert_mem_eq(probe.function.config, config, sizeof(config));
}
END_TEST

START_TEST(ports)
{
	const uint32_t select = 0x80000000u | SLOT << 11;

	write_bus(&pio, PORT, select | PCI_SUBSYSTEM_VENDOR_ID, 4);
	ck_assert_uint_eq(read_bus(&pio, PORT, 4), select | PCI_SUBSYSTEM_VENDOR_ID);
	ck_assert_uint_eq(read_bus(&pio, PORT + 4, 4), 0xdef09abc);
	ck_assert_uint_eq(read_bus(&pio, PORT + 4, 2), 0x9abc);
	ck_assert_uint_eq(read_bus(&pio, PORT + 6, 2), 0xdef0);
	ck_assert_uint_eq(read_bus(&pio, PORT + 7, 1), 0xde);
	ck_assert_uint_eq(read_bus(&pio, PORT + 5, 2), 0xffff);
	/* The address register is a dword: other widths are other devices' ports on a PC. */
	write_bus(&pio, PORT + 1, 0x12, 1);
	write_bus(&pio, PORT, 0x1234, 2);
	ck_assert_uint_eq(read_bus(&pio, PORT, 4), select | PCI_SUBSYSTEM_VENDOR_ID);
	ck_assert_uint_eq(read_bus(&pio, PORT + 1, 1), 0xff);
	write_bus(&pio, PORT, select | PCI_CACHE_LINE_SIZE, 4);
	write_bus(&pio, PORT + 4, 0x20, 1);
	ck_assert_uint_eq(get(PCI_CACHE_LINE_SIZE, 1), 0x20);
	/* Off, another bus, another function. */
	write_bus(&pio, PORT, SLOT << 11, 4);
	ck_assert_uint_eq(read_bus(&pio, PORT + 4, 4), 0xffffffff);
	write_bus(&pio, PORT, select | 1 << 16, 4);
	ck_assert_uint_eq(read_bus(&pio, PORT + 4, 4), 0xffffffff);
	write_bus(&pio, PORT, select | 1 << 8, 4);
	ck_assert_uint_eq(read_bus(&pio, PORT + 4, 4), 0xffffffff);
}
END_TEST

START_TEST(bar_sizing)
{
	uint64_t at = bar();

	ck_assert_uint_eq(get(PCI_BASE_ADDRESS_0, 4) & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
	move_bar(UINT64_MAX);
	ck_assert_uint_eq(get(PCI_BASE_ADDRESS_0, 4), (uint32_t)-BAR_SIZE | 4);
	ck_assert_uint_eq(get(PCI_BASE_ADDRESS_1, 4), 0xffffffff);
	move_bar(at);
	ck_assert_uint_eq(bar(), at);
	for (unsigned int i = PCI_BASE_ADDRESS_2; i <= PCI_BASE_ADDRESS_5; i += 4)
		ck_assert_uint_eq(get(i, 4), 0);
	ck_assert_uint_eq(get(PCI_ROM_ADDRESS, 4), 0);
}
END_TEST

START_TEST(bar_access)
{
	uint64_t at = bar();

	ck_assert_uint_eq(at, WINDOW);
	ck_assert_uint_eq(read_bus(&mmio, at, 4), 0xffffffff); /* not enabled */
	ck_assert_uint_eq(probe.reads, 0);
	set(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	ck_assert_uint_eq(probe.seen.bar, at);
	ck_assert_uint_eq(read_bus(&mmio, at + 0x123, 2), 0xff5a);
	ck_assert_uint_eq(probe.offset, 0x123);
	ck_assert_uint_eq(probe.len, 2);
	write_bus(&mmio, at + BAR_SIZE - 1, 0x77, 1);
	ck_assert_uint_eq(probe.offset, BAR_SIZE - 1);
	ck_assert_uint_eq(probe.data[0], 0x77);
	/* 8 bytes are two dwords, low one first (virtio 1.3, 4.1.3). */
	probe.writes = 0;
	write_bus(&mmio, at + 8, 0x8877665544332211, 8);
	ck_assert_uint_eq(probe.writes, 2);
	ck_assert_uint_eq(probe.offset, 12);
	ck_assert_mem_eq(probe.data, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	/* Past the end, and across it. */
	probe.writes = probe.reads = 0;
	write_bus(&mmio, at + BAR_SIZE, 0, 4);
	write_bus(&mmio, at + BAR_SIZE - 2, 0, 4);
	ck_assert_uint_eq(read_bus(&mmio, at + BAR_SIZE - 4, 8), UINT64_MAX);
	ck_assert_uint_eq(probe.writes + probe.reads, 0);
}
END_TEST

static const struct {
	uint64_t addr;
	bool answers;
} moves[] = {
	{WINDOW, true},
	{WINDOW + 5 * BAR_SIZE, true},
	{WINDOW + WINDOW_SIZE - BAR_SIZE, true},
	{WINDOW + WINDOW_SIZE, false},
	{WINDOW - BAR_SIZE, false},
	{HIGH, true},
	{HIGH + HIGH_SIZE - BAR_SIZE, true},
	{HIGH + HIGH_SIZE, false},
	{HIGH - BAR_SIZE, false},
	{0, false},	     /* RAM */
	{ECAM, false},	     /* the configuration space itself */
	{0xfee00000, false}, /* the local APIC */
	{UINT64_MAX - BAR_SIZE + 1, false},
};

START_TEST(bar_moves)
{
	set(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	move_bar(moves[_i].addr);
	ck_assert_uint_eq(bar(), moves[_i].addr);
	ck_assert_uint_eq(probe.seen.bar, moves[_i].answers ? moves[_i].addr : PCI_NO_BAR);
	read_bus(&mmio, moves[_i].addr + 4, 1);
	ck_assert_uint_eq(probe.reads, moves[_i].answers);
	if (moves[_i].addr != WINDOW)
		ck_assert_uint_eq(read_bus(&mmio, WINDOW, 1), 0xff);
}
END_TEST

/* Two at one address: the guest's own fault, but somebody answers. */
START_TEST(bars_overlap)
{
	static struct probe other;

	pci_function_init(&other.function, &ops, &id, BAR_SIZE);
	ck_assert_int_eq(pci_host_add(&host, SLOT + 1, &other.function, GSI, &err), 0);
	write_bus(&mmio, ecam(SLOT + 1, PCI_COMMAND), PCI_COMMAND_MEMORY, 2);
	set(PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	ck_assert_uint_ne(other.function.bar, probe.function.bar);
	write_bus(&mmio, ecam(SLOT + 1, PCI_BASE_ADDRESS_0), bar(), 4);
	ck_assert_uint_eq(other.function.bar, probe.function.bar);
	ck_assert_uint_eq(read_bus(&mmio, bar(), 1), 0x5a);
	ck_assert_uint_eq(probe.reads + other.reads, 1);
}
END_TEST

START_TEST(command)
{
	set(PCI_COMMAND, 0xffff, 2);
	ck_assert_uint_eq(get(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
						       PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
						       PCI_COMMAND_INTX_DISABLE);
	ck_assert(probe.seen.bus_master);
	ck_assert(!probe.seen.intx);
	set(PCI_COMMAND, 0, 2);
	ck_assert(!probe.seen.bus_master);
	ck_assert(probe.seen.intx);
	ck_assert_uint_eq(probe.seen.bar, PCI_NO_BAR);
	set(PCI_STATUS, 0xffff, 2);
	ck_assert_uint_eq(get(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}
END_TEST

START_TEST(power_states)
{
	unsigned int pm = find_capability(PCI_CAP_ID_PM);
	uint64_t at = bar();

	ck_assert_uint_ne(pm, 0);
	ck_assert_uint_eq(get(pm + PCI_PM_PMC, 2), 3);
	ck_assert_uint_eq(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	set(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	set(pm + PCI_PM_CTRL, 1, 2); /* D1 isn't there, nor is D2 */
	set(pm + PCI_PM_CTRL, 2, 2);
	ck_assert_uint_eq(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	set(pm + PCI_PM_CTRL, 3, 2);
	ck_assert_uint_eq(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);
	ck_assert_uint_eq(probe.seen.bar, PCI_NO_BAR);
	ck_assert(!probe.seen.bus_master);
	ck_assert(!probe.seen.intx);
	ck_assert_uint_eq(read_bus(&mmio, at, 1), 0xff);
	set(pm + PCI_PM_CTRL, 2, 2);
	ck_assert_uint_eq(get(pm + PCI_PM_CTRL, 2) & 3, 3);
	set(pm + PCI_PM_CTRL, 0, 2);
	/* As it was: no reset. */
	ck_assert_uint_eq(probe.resets, 0);
	ck_assert_uint_eq(probe.seen.bar, at);
	ck_assert(probe.seen.bus_master);
	ck_assert(probe.seen.intx);
}
END_TEST

START_TEST(function_level_reset)
{
	unsigned int express = find_capability(PCI_CAP_ID_EXP);
	unsigned int pm = find_capability(PCI_CAP_ID_PM);

	ck_assert_uint_ne(express, 0);
	ck_assert_uint_eq(get(express + PCI_EXP_FLAGS, 2), PCI_EXP_TYPE_RC_END << 4 | 2);
	ck_assert(get(express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	set(PCI_COMMAND, 0xffff, 2);
	set(PCI_CACHE_LINE_SIZE, 0x10, 1);
	set(pm + PCI_PM_CTRL, 3, 2);
	set(express + PCI_EXP_DEVCTL, 0x7fff, 2);
	ck_assert_uint_eq(probe.resets, 0);
	ck_assert(!(get(express + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR));
	set(express + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, _i ? 4 : 2);
	ck_assert_uint_eq(probe.resets, 1);
	ck_assert_uint_eq(probe.seen.bar, PCI_NO_BAR);
	ck_assert(!probe.seen.bus_master);
	ck_assert_uint_eq(get(express + PCI_EXP_DEVCTL, 2), PCI_EXP_DEVCTL_READRQ_512B);
	ck_assert_uint_eq(get(PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(get(PCI_CACHE_LINE_SIZE, 1), 0);
	ck_assert_uint_eq(get(pm + PCI_PM_CTRL, 1) & 3, 0);
	ck_assert_uint_eq(bar(), 0);
	ck_assert_uint_eq(get(PCI_INTERRUPT_LINE, 2), 0x100);
	ck_assert_uint_eq(get(PCI_VENDOR_ID, 4), 0x56781234);
	/* By a byte, too; and the other half of the register resets nothing. */
	set(express + PCI_EXP_DEVCTL, 0x80, 1);
	ck_assert_uint_eq(probe.resets, 1);
	set(express + PCI_EXP_DEVCTL + 1, 0x80, 1);
	ck_assert_uint_eq(probe.resets, 2);
}
END_TEST

START_TEST(no_room)
{
	static struct pci_function functions[PCI_SLOTS];
	unsigned int n = 0;

	ck_assert_int_eq(pci_host_add(&host, SLOT, &functions[0], GSI, &err), -EEXIST);
	ck_assert_int_eq(pci_host_add(&host, 0, &functions[0], GSI, &err), -EEXIST);
	ck_assert_int_eq(pci_host_add(&host, PCI_SLOTS, &functions[0], GSI, &err), -EEXIST);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		int ret;

		if (slot == SLOT)
			continue;
		pci_function_init(&functions[slot], &ops, &id, 0x10000);
		ret = pci_host_add(&host, slot, &functions[slot], GSI, &err);
		n += ret == 0;
		if (!ret)
			ck_assert_uint_eq(pci_config_get(&functions[slot], 0x10, 4) & ~4u,
					  WINDOW + n * 0x10000);
		else
			ck_assert_int_eq(ret, -ENOSPC);
	}
	ck_assert_uint_eq(n, WINDOW_SIZE / 0x10000 - 1);
}
END_TEST

static void quiet_read(struct pci_function *function, uint64_t offset, uint8_t *data,
		       unsigned int len)
{
	(void)offset;
	memset(data, 0, len);
	pci_function_state(function);
}

static void quiet_write(struct pci_function *function, uint64_t offset, const uint8_t *data,
			unsigned int len)
{
	(void)offset;
	(void)data;
	(void)len;
	pci_function_state(function);
}

static void quiet_written(struct pci_function *function, unsigned int offset, unsigned int len)
{
	(void)offset;
	(void)len;
	pci_function_state(function);
}

static void quiet_reset(struct pci_function *function)
{
	pci_function_state(function);
}

static const struct pci_function_ops stateless = {
	.read_bar = quiet_read,
	.write_bar = quiet_write,
	.before_read = quiet_written,
	.written = quiet_written,
	.reset = quiet_reset,
};

static void *access_all(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < 50000; i++) {
		unsigned int offset = (unsigned int)rand_r(&seed) % 64 * 4;
		uint32_t value = (uint32_t)rand_r(&seed);

		switch (rand_r(&seed) % 5) {
		case 0:
			get(offset, 4);
			break;
		case 1:
			set(offset, value, 1u << value % 3);
			break;
		case 2:
			move_bar(WINDOW + value % 8 * BAR_SIZE);
			break;
		case 3:
			write_bus(&pio, PORT, value & 0x8000ffff, 4);
			read_bus(&pio, PORT + 4, 4);
			break;
		default:
			read_bus(&mmio, WINDOW + value % (8 * BAR_SIZE), 1);
			break;
		}
	}
	return NULL;
}

START_TEST(many_vcpus)
{
	pthread_t threads[3];

	probe.function.ops = &stateless;
	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, access_all, (void *)i), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(get(PCI_VENDOR_ID, 4), 0x56781234);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci");
	TCase *tc = tcase_create("host bridge");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, bridge);
	tcase_add_test(tc, nobody_there);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, odd_widths);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, bar_sizing);
	tcase_add_test(tc, bar_access);
	tcase_add_loop_test(tc, bar_moves, 0, sizeof(moves) / sizeof(moves[0]));
	tcase_add_test(tc, bars_overlap);
	tcase_add_test(tc, command);
	tcase_add_test(tc, power_states);
	tcase_add_loop_test(tc, function_level_reset, 0, 2);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, many_vcpus);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
