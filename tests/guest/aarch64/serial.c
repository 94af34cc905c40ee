/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console, of which the device tree tells: a 16550A whose registers are bytes one behind the
 * other. Or a PL011 (Arm DDI 0183, 3.3), which QEMU has, to say something at all: only
 * serial_write() knows it.
 */
#include "lib/serial.h"

#include "lib/fdt.h"
#include "lib/guest.h"

enum {
	PL011_DATA = 0x000,
	PL011_FLAGS = 0x018,
	PL011_TRANSMIT_FULL = 1 << 5,
};

static uint64_t base;
static uint32_t gsi;
static bool is_pl011;

static void find(void)
{
	struct fdt_node node;

	if (!fdt_find("compatible", "ns16550a", 0, &node)) {
		is_pl011 = fdt_find("compatible", "arm,pl011", 0, &node);
		if (!is_pl011)
			return;
	}
	base = fdt_number(&node, "reg", 0, 2);
	gsi = (uint32_t)fdt_number(&node, "interrupts", 1, 1);
}

uint8_t serial_get(enum serial_register offset)
{
	if (is_pl011)
		fatal("the serial port is no 16550A");
	return *(volatile uint8_t *)(base + offset);
}

void serial_set(enum serial_register offset, uint8_t value)
{
	if (is_pl011)
		fatal("the serial port is no 16550A");
	*(volatile uint8_t *)(base + offset) = value;
}

uint32_t serial_gsi(void)
{
	return gsi;
}

void serial_init(void)
{
	find();
	if (base == 0 || is_pl011)
		return;
	serial_set(SERIAL_IER, 0);
	serial_set(SERIAL_LCR, SERIAL_LCR_8N1);
	serial_set(SERIAL_FCR, SERIAL_FCR_TRIGGER_14);
	serial_set(SERIAL_MCR, SERIAL_MCR_READY);
}

static void write_pl011(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		while (*(volatile uint32_t *)(base + PL011_FLAGS) & PL011_TRANSMIT_FULL)
			;
		*(volatile uint32_t *)(base + PL011_DATA) = bytes[i];
	}
}

void serial_write(const void *data, size_t len)
{
	const uint8_t *bytes = data;

	if (base == 0)
		return;
	if (is_pl011) {
		write_pl011(bytes, len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (i % SERIAL_FIFO_SIZE == 0)
			while (!(serial_get(SERIAL_LSR) & SERIAL_LSR_TRANSMIT_EMPTY))
				;
		serial_set(SERIAL_DATA, bytes[i]);
	}
}

/* As many as the cause of an interrupt promises, without a look at each. */
size_t serial_read(void *data, size_t len, bool all)
{
	uint8_t *bytes = data;
	size_t n = 0;

	while (n < len) {
		uint8_t cause = serial_get(SERIAL_IIR) & 0x0f;
		size_t end = n + 1;

		if (cause == SERIAL_IIR_NONE && all)
			continue;
		if (cause == SERIAL_IIR_RECEIVED && len - n >= SERIAL_RECEIVE_TRIGGER)
			end = n + SERIAL_RECEIVE_TRIGGER;
		else if (!(serial_get(SERIAL_LSR) & SERIAL_LSR_DATA_READY))
			break;
		while (n < end)
			bytes[n++] = serial_get(SERIAL_DATA);
	}
	return n;
}
