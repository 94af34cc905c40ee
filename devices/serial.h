/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART (National Semiconductor PC16550D): 8 registers, FIFOs of 16 bytes, interrupts in
 * both directions. The baud rate is accepted and ignored: a byte takes no time.
 *
 * Registers are accessed from vCPU threads, input comes from the main loop; the device locks
 * itself. Callbacks run under no lock of the device's.
 */
#ifndef DEVICES_SERIAL_H
#define DEVICES_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "devices/bus.h"

struct serial;

enum {
	SERIAL_SIZE = 8, /* of the register range, in bytes */
};

/* The other end of the line. */
struct serial_line {
	/* The guest sent a byte. vCPU thread; may wait for a slow reader. */
	void (*output)(void *opaque, uint8_t byte);
	/*
	 * There is room again after serial_input() took less than it was given or
	 * serial_input_space() gave 0. Told once. vCPU thread, or from inside serial_break().
	 */
	void (*input_room)(void *opaque);
	void *opaque;
};

/*
 * Create a UART that raises an edge on its interrupt by signalling the eventfd @irq_fd (borrowed).
 * NULL if there is no memory. *@line is copied.
 */
struct serial *serial_create(const struct serial_line *line, int irq_fd);

/* Nobody may be in another function. Accepts NULL. */
void serial_destroy(struct serial *serial);

/*
 * How many bytes serial_input() would take now. None while the guest is not ready to receive: what
 * is sent to it before its driver is up stays with the sender. Main loop.
 */
size_t serial_input_space(struct serial *serial);

/*
 * Bytes arrive on the line. Returns how many fit into the receive FIFO; the rest is the caller's
 * to offer again when input_room() is called: the UART never drops a byte and never reports an
 * overrun. Main loop.
 */
size_t serial_input(struct serial *serial, const uint8_t *data, size_t len);

/*
 * A break condition arrives on the line (the guest's magic SysRq). It keeps its place between the
 * bytes before and after it; several that wait for room become one. Main loop.
 */
void serial_break(struct serial *serial);

/* For bus_add(), with the struct serial as the device. */
extern const struct bus_ops serial_bus_ops;

#endif
