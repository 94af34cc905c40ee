/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/serial.h"

#include "x86_64/ring0.h"

/* The first serial port of PCs. */
enum {
	SERIAL_PORT = 0x3f8,
	SERIAL_GSI = 4,
};

static uint64_t do_init(uint64_t unused, uint64_t unused2, uint64_t unused3)
{
	(void)unused;
	(void)unused2;
	(void)unused3;
	out8(SERIAL_PORT + SERIAL_IER, 0);
	out8(SERIAL_PORT + SERIAL_LCR, SERIAL_LCR_8N1);
	out8(SERIAL_PORT + SERIAL_FCR, SERIAL_FCR_TRIGGER_14);
	out8(SERIAL_PORT + SERIAL_MCR, SERIAL_MCR_READY);
	return 0;
}

static uint64_t do_write(uint64_t data, uint64_t len, uint64_t unused)
{
	(void)unused;
	while (len > 0) {
		uint64_t n = len < SERIAL_FIFO_SIZE ? len : SERIAL_FIFO_SIZE;

		while (!(in8(SERIAL_PORT + SERIAL_LSR) & SERIAL_LSR_TRANSMIT_EMPTY))
			;
		len -= n;
		__asm__ volatile("rep outsb" : "+S"(data), "+c"(n) : "d"(SERIAL_PORT) : "memory");
	}
	return 0;
}

/* String input is one exit for all bytes, where the FIFO's level is known. */
static uint64_t do_read(uint64_t data, uint64_t len, uint64_t all)
{
	uint64_t left = len;

	while (left > 0) {
		uint8_t cause = in8(SERIAL_PORT + SERIAL_IIR) & 0x0f;
		uint64_t n = 1;

		if (cause == SERIAL_IIR_NONE && all)
			continue;
		if (cause == SERIAL_IIR_RECEIVED && left >= SERIAL_RECEIVE_TRIGGER)
			n = SERIAL_RECEIVE_TRIGGER;
		else if (!(in8(SERIAL_PORT + SERIAL_LSR) & SERIAL_LSR_DATA_READY))
			break;
		left -= n;
		__asm__ volatile("rep insb" : "+D"(data), "+c"(n) : "d"(SERIAL_PORT) : "memory");
	}
	return len - left;
}

void serial_init(void)
{
	ring0_call(do_init, 0, 0, 0);
}

void serial_write(const void *data, size_t len)
{
	ring0_call(do_write, (uintptr_t)data, len, 0);
}

size_t serial_read(void *data, size_t len, bool all)
{
	return ring0_call(do_read, (uintptr_t)data, len, all);
}

uint8_t serial_get(enum serial_register offset)
{
	return (uint8_t)port_read((uint16_t)(SERIAL_PORT + offset), 1);
}

void serial_set(enum serial_register offset, uint8_t value)
{
	port_write((uint16_t)(SERIAL_PORT + offset), 1, value);
}

uint32_t serial_gsi(void)
{
	return SERIAL_GSI;
}
