/* SPDX-License-Identifier: Apache-2.0 */
/* The console: a 16550A at the first PC serial port (PC16550D data sheet, section 8). */
#ifndef GUEST_X86_64_SERIAL_H
#define GUEST_X86_64_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERIAL_PORT = 0x3f8,
	SERIAL_GSI = 4,
	SERIAL_FIFO_SIZE = 16,
};

enum {
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

/* 8N1, FIFOs on with a receive interrupt at 14 bytes; no interrupt enabled. */
void serial_init(void);

void serial_write(const void *data, size_t len);

/*
 * What has been received, at most @len bytes. With @all, waits for that many, looking at the
 * interrupt cause over and over: SERIAL_IER_RECEIVED must be enabled.
 */
size_t serial_read(void *data, size_t len, bool all);

#endif
