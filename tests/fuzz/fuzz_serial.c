/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest at the serial port, and bytes that come to it. The input is a list of accesses to
 * its registers, of any width, and of what arrives on the line in between. The UART never takes
 * more than it says, tells of room when it has promised to, and in the end, when the guest sets it
 * up and reads, no byte is lost or out of order.
 */
#include <stdbool.h>
#include <unistd.h>

#include "devices/bus.h"
#include "devices/serial.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/core/fd.h"

enum {
	PORT = 0x3f8,
	DATA = 0,
	IER = 1,
	FCR = 2,
	LCR = 3,
	MCR = 4,
	LSR = 5,
	LSR_READY = 1,
	N_LAST = 64, /* bytes that come at the end */
};

struct machine {
	struct bus pio;
	struct serial *serial;
	int irq_fd;
	unsigned int told; /* how often there was room again */
	unsigned int due;  /* how often that was promised */
	size_t n_sent, n_data_writes;
};

static void output(void *opaque, uint8_t byte)
{
	(void)byte;
	((struct machine *)opaque)->n_sent++;
}

static void input_room(void *opaque)
{
	struct machine *m = opaque;

	/* Told once for each time that it fell short. */
	require(m->told < m->due);
	m->told = m->due;
}

static void put(struct machine *m, unsigned int reg, uint64_t value, unsigned int len)
{
	/* A wide access reaches the data register in its first byte only. */
	m->n_data_writes += reg == DATA;
	bus_write(&m->pio, PORT + reg, (const uint8_t *)&value, len);
	require(m->n_sent <= m->n_data_writes);
}

static uint8_t get(struct machine *m, unsigned int reg, unsigned int len)
{
	uint64_t value = 0;

	bus_read(&m->pio, PORT + reg, (uint8_t *)&value, len);
	return (uint8_t)value;
}

static size_t offer(struct machine *m, const uint8_t *data, size_t len)
{
	size_t space = serial_input_space(m->serial), taken;

	m->due += !space;
	taken = serial_input(m->serial, data, len);
	require(taken == (space < len ? space : len));
	m->due += space && taken < len;
	return taken;
}

static void step(struct machine *m, struct input *in)
{
	uint32_t op = take(in, 1);
	unsigned int reg = op >> 3 & 7, wide = 2u << (op >> 6 & 1);
	uint8_t bytes[32];

	/* What would go past the last register meets no device, as a whole. */
	switch (op & 7) {
	case 0:
	case 1:
	case 2:
		put(m, reg, take(in, 1), 1);
		break;
	case 3:
		put(m, reg, take(in, 4), wide);
		break;
	case 4:
		get(m, reg, 1);
		break;
	case 5:
		get(m, reg, wide);
		break;
	case 6:
		memset(bytes, (int)op, sizeof(bytes));
		offer(m, bytes, op >> 3);
		break;
	default:
		serial_break(m->serial);
		fd_eventfd_drain(m->irq_fd);
		break;
	}
}

/* A driver that means to receive: all that comes from now on is read as it came. */
static void check_input(struct machine *m)
{
	uint8_t bytes[N_LAST];
	size_t given = 0, got = 0;

	put(m, LCR, 3, 1);
	put(m, IER, 0, 1);
	put(m, MCR, 3, 1);
	put(m, FCR, 7, 1); /* FIFOs, empty */
	put(m, IER, 1, 1);
	/* A break that was waiting for that comes first. */
	while (get(m, LSR, 1) & LSR_READY)
		get(m, DATA, 1);
	fd_eventfd_drain(m->irq_fd);
	for (unsigned int i = 0; i < N_LAST; i++)
		bytes[i] = (uint8_t)(i * 7);
	while (got < N_LAST) {
		size_t n = offer(m, bytes + given, N_LAST - given);

		require(n > 0);
		given += n;
		require(fd_eventfd_drain(m->irq_fd) > 0);
		while (get(m, LSR, 1) & LSR_READY)
			require(get(m, DATA, 1) == bytes[got++]);
		require(got == given);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = {.irq_fd = fd_eventfd()};
	const struct serial_line line = {output, input_room, &m};
	struct input in = {data, size};
	struct bus_range range = {.base = PORT, .size = SERIAL_SIZE, .ops = &serial_bus_ops};

	require(m.irq_fd >= 0);
	m.serial = serial_create(&line, m.irq_fd);
	require(m.serial != NULL);
	range.device = m.serial;
	require(bus_add(&m.pio, &range, NULL) == 0);
	while (in.len)
		step(&m, &in);
	check_input(&m);
	serial_destroy(m.serial);
	close(m.irq_fd);
	return 0;
}
