/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: a 16550A (PC16550D data sheet, section 8). Where it is, and how its registers are
 * reached, the architecture knows.
 */
#ifndef GUEST_LIB_SERIAL_H
#define GUEST_LIB_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERIAL_FIFO_SIZE = 16,
};

enum serial_register {
	SERIAL_DATA = 0,
	SERIAL_IER = 1,
	SERIAL_IIR = 2, /* reading */
	SERIAL_FCR = 2, /* writing */
	SERIAL_LCR = 3,
	SERIAL_MCR = 4,
	SERIAL_LSR = 5,
	SERIAL_MSR = 6,
	SERIAL_SCRATCH = 7,
};

enum {
	SERIAL_IER_RECEIVED = 1 << 0,
	SERIAL_IER_TRANSMIT_EMPTY = 1 << 1,
	SERIAL_IIR_NONE = 0x01, /* of the low four bits */
	SERIAL_IIR_TRANSMIT_EMPTY = 0x02,
	SERIAL_IIR_RECEIVED = 0x04,
	SERIAL_IIR_TIMEOUT = 0x0c,
	SERIAL_LSR_DATA_READY = 1 << 0,
	SERIAL_LSR_OVERRUN = 1 << 1,
	SERIAL_LSR_TRANSMIT_EMPTY = 1 << 5,
};

/* What serial_init() writes: 8N1; FIFOs on, which keep what was received. */
enum {
	SERIAL_RECEIVE_TRIGGER = 14, /* bytes */
	SERIAL_LCR_8N1 = 0x03,
	SERIAL_FCR_TRIGGER_14 = 0xc1,
	SERIAL_MCR_READY = 0x0b, /* DTR, RTS, OUT2: the interrupt line's gate */
};

/* 8N1, FIFOs on with a receive interrupt at 14 bytes; no interrupt enabled. */
void serial_init(void);

void serial_write(const void *data, size_t len);

/*
 * What has been received, at most @len bytes. With @all, waits for that many, looking at the
 * interrupt cause over and over: SERIAL_IER_RECEIVED must be enabled.
 */
size_t serial_read(void *data, size_t len, bool all);

/* Its registers, and the GSI that it raises. */
uint8_t serial_get(enum serial_register offset);
void serial_set(enum serial_register offset, uint8_t value);
uint32_t serial_gsi(void);

#endif
