/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/serial.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/fd.h"

enum {
	DATA,
	IER,
	IIR,
	FCR = IIR,
	LCR,
	MCR,
	LSR,
	MSR,
	SCR,
};

static struct serial *serial;
static int irq_fd, room_fd;
static uint8_t sent[64];
static size_t n_sent;

static void output(void *opaque, uint8_t byte)
{
	(void)opaque;
	if (n_sent < sizeof(sent))
		sent[n_sent] = byte;
	n_sent++;
}

static void input_room(void *opaque)
{
	(void)opaque;
	fd_eventfd_signal(room_fd);
}

static void setup(void)
{
	const struct serial_line line = {output, input_room, NULL};

	irq_fd = fd_eventfd();
	room_fd = fd_eventfd();
	n_sent = 0;
	serial = serial_create(&line, irq_fd);
	ck_assert_ptr_nonnull(serial);
}

static void teardown(void)
{
	serial_destroy(serial);
	close(irq_fd);
	close(room_fd);
}

static uint8_t rd(uint64_t reg)
{
	uint8_t value = 0;

	serial_bus_ops.read(serial, reg, &value, 1);
	return value;
}

static void wr(uint64_t reg, uint8_t value)
{
	serial_bus_ops.write(serial, reg, &value, 1);
}

static unsigned int edges(void)
{
	return (unsigned int)fd_eventfd_drain(irq_fd);
}

static unsigned int rooms(void)
{
	return (unsigned int)fd_eventfd_drain(room_fd);
}

static size_t input(const char *text)
{
	return serial_input(serial, (const uint8_t *)text, strlen(text));
}

/* Enabled FIFOs and receive interrupts, as a driver has them. */
static void open_port(void)
{
	wr(FCR, 0x07);
	wr(IER, 0x01);
	edges();
	rooms();
}

START_TEST(null)
{
	serial_destroy(NULL);
}
END_TEST

/* The steps of Linux's driver that tell a 16550A from its relatives. */
START_TEST(probed_as_16550a)
{
	wr(IER, 0);
	ck_assert_uint_eq(rd(IER), 0);
	wr(IER, 0x0f);
	ck_assert_uint_eq(rd(IER), 0x0f);
	wr(IER, 0xff);
	ck_assert_uint_eq(rd(IER), 0x0f); /* no bits of later relatives */
	wr(IER, 0);
	/* Loopback: OUT2 and RTS come back as DCD and CTS. */
	wr(MCR, 0x10 | 0x0a);
	ck_assert_uint_eq(rd(MSR) & 0xf0, 0x90);
	wr(MCR, 0);
	/* An extended feature register would be here. */
	wr(LCR, 0xbf);
	wr(FCR, 0);
	wr(LCR, 0);
	wr(FCR, 0x01);
	ck_assert_uint_eq(rd(IIR) >> 6, 3);
	wr(LCR, 0x80);
	ck_assert_uint_ne(rd(IIR), 0);
	wr(LCR, 0xbf);
	ck_assert_uint_ne(rd(IIR), 0);
	wr(LCR, 0);
	wr(FCR, 0x21); /* 64-byte FIFOs of the 16750 */
	ck_assert_uint_eq(rd(IIR) & 0xe0, 0xc0);
	wr(SCR, 0xa5);
	ck_assert_uint_eq(rd(SCR), 0xa5);
	wr(SCR, 0x5a);
	ck_assert_uint_eq(rd(SCR), 0x5a);
	wr(FCR, 0);
	ck_assert_uint_eq(rd(IIR), 0x01);
	ck_assert_uint_eq(rd(MSR) & 0xf0, 0xb0);
	ck_assert_uint_eq(n_sent, 0);
}
END_TEST

START_TEST(reset_state)
{
	ck_assert_uint_eq(rd(DATA), 0);
	ck_assert_uint_eq(rd(IER), 0);
	ck_assert_uint_eq(rd(IIR), 0x01);
	ck_assert_uint_eq(rd(LCR), 0);
	ck_assert_uint_eq(rd(MCR), 0);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(rd(MSR), 0xb0);
	ck_assert_uint_eq(edges(), 0);
}
END_TEST

START_TEST(divisor)
{
	wr(IER, 0x05);
	wr(LCR, 0x83);
	ck_assert_uint_ne(rd(DATA) | rd(IER), 0);
	wr(DATA, 0x01);
	wr(IER, 0x02);
	ck_assert_uint_eq(rd(DATA), 0x01);
	ck_assert_uint_eq(rd(IER), 0x02);
	ck_assert_uint_eq(rd(LCR), 0x83);
	wr(LCR, 0x03);
	ck_assert_uint_eq(rd(IER), 0x05);
	ck_assert_uint_eq(rd(DATA), 0);
	ck_assert_uint_eq(n_sent, 0);
}
END_TEST

START_TEST(transmit)
{
	wr(DATA, 'a');
	wr(DATA, 'b');
	ck_assert_uint_eq(n_sent, 2);
	ck_assert_mem_eq(sent, "ab", 2);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(edges(), 0);
}
END_TEST

START_TEST(transmit_interrupt)
{
	/* Linux's test for a chip with a bug: enabling twice must tell twice. */
	for (int i = 0; i < 2; i++) {
		wr(IER, 0x02);
		ck_assert_uint_eq(edges(), 1);
		ck_assert_uint_eq(rd(IIR), 0x02);
		ck_assert_uint_eq(rd(IIR), 0x01); /* acknowledged by reading */
		wr(IER, 0x02);			  /* no change, no news */
		ck_assert_uint_eq(edges(), 0);
		wr(IER, 0);
	}
	wr(IER, 0x02);
	rd(IIR);
	edges();
	wr(DATA, 'x');
	ck_assert_uint_eq(edges(), 1);
	/* Not acknowledged, the line stays high; sending lowers and raises it. */
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(edges(), 0);
	wr(DATA, 'y');
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0x02);
	/* Disabled: nothing is told, and the state survives. */
	wr(IER, 0);
	wr(DATA, 'z');
	ck_assert_uint_eq(rd(IIR), 0x01);
	ck_assert_uint_eq(edges(), 0);
	ck_assert_uint_eq(n_sent, 3);
}
END_TEST

START_TEST(receive_without_fifos)
{
	wr(IER, 0x01);
	ck_assert_uint_eq(input("ab"), 1);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0x04);
	ck_assert_uint_eq(rd(LSR), 0x61);
	ck_assert_uint_eq(rd(DATA), 'a');
	ck_assert_uint_eq(rooms(), 1);
	ck_assert_uint_eq(rd(IIR), 0x01);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(input("b"), 1);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(DATA), 'b');
	ck_assert_uint_eq(rooms(), 0); /* nobody waits */
}
END_TEST

START_TEST(trigger_levels)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	for (unsigned int i = 0; i < 4; i++) {
		wr(FCR, (uint8_t)(0x07 | i << 6));
		wr(IER, 0x01);
		edges();
		for (unsigned int n = 1; n <= 16; n++) {
			ck_assert_uint_eq(input("x"), 1);
			/* Below the level it is the time-out, at once: one edge in all. */
			ck_assert_uint_eq(edges(), n == 1);
			ck_assert_uint_eq(rd(IIR), n < levels[i] ? 0xcc : 0xc4);
		}
		ck_assert_uint_eq(input("x"), 0);
		for (unsigned int n = 16; n >= 1; n--) {
			ck_assert_uint_eq(rd(IIR), n < levels[i] ? 0xcc : 0xc4);
			ck_assert_uint_eq(rd(LSR), 0x61);
			ck_assert_uint_eq(rd(DATA), 'x');
		}
		ck_assert_uint_eq(rd(IIR), 0xc1);
		ck_assert_uint_eq(rd(LSR), 0x60);
		ck_assert_uint_eq(edges(), 0);
	}
}
END_TEST

START_TEST(priority)
{
	wr(FCR, 0x01);
	wr(MCR, 0x10 | 0x0b); /* deltas: DSR, CTS, DCD stay; RI stays */
	wr(MCR, 0x0b);
	wr(MCR, 0x10); /* three lines fall */
	wr(MCR, 0x0b);
	wr(IER, 0x0f);
	serial_break(serial);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0xc6);
	ck_assert_uint_eq(rd(IIR), 0xc6);
	ck_assert_uint_eq(rd(LSR), 0x60 | 0x80 | 0x10 | 0x01);
	ck_assert_uint_eq(rd(LSR), 0x61);
	ck_assert_uint_eq(rd(IIR), 0xc4);
	ck_assert_uint_eq(edges(), 0); /* the line has never been low */
	ck_assert_uint_eq(rd(DATA), 0);
	ck_assert_uint_eq(rd(IIR), 0xc2);
	/* The next cause gets an edge of its own after an acknowledge that leaves it. */
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0xc0);
	ck_assert_uint_eq(rd(MSR), 0xbb);
	ck_assert_uint_eq(rd(MSR), 0xb0);
	ck_assert_uint_eq(rd(IIR), 0xc1);
	ck_assert_uint_eq(edges(), 0);
}
END_TEST

/* A cause that arises after the handler's last look must raise an edge, whatever came before. */
START_TEST(edge_after_last_look)
{
	open_port();
	wr(IER, 0x0f);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0xc2);
	ck_assert_uint_eq(rd(IIR), 0xc1);
	ck_assert_uint_eq(edges(), 0);
	ck_assert_uint_eq(input("a"), 1);
	ck_assert_uint_eq(edges(), 1);
	/* Between the acknowledge and the end: received while the handler transmits. */
	rd(DATA);
	wr(DATA, 'x');
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0xc2);
	ck_assert_uint_eq(input("b"), 1);
	ck_assert_uint_eq(edges(), 1);
	/* Masked with data waiting, as Linux's console does for each line, and unmasked. */
	wr(IER, 0);
	ck_assert_uint_eq(rd(IIR), 0xc1);
	wr(IER, 0x05);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(IIR), 0xc4);
	ck_assert_uint_eq(rd(DATA), 'b');
}
END_TEST

START_TEST(break_keeps_its_place)
{
	open_port();
	wr(IER, 0x05);
	ck_assert_uint_eq(input("0123456789abcdef"), 16);
	serial_break(serial);
	serial_break(serial); /* one with the first */
	ck_assert_uint_eq(input("g"), 0);
	for (const char *p = "0123456789abcdef"; *p; p++) {
		ck_assert_uint_eq(rd(LSR) & 0x11, 0x01);
		/* An error is in the FIFO as soon as there is room. */
		ck_assert_uint_eq(rd(LSR) & 0x80, *p == '0' ? 0 : 0x80);
		ck_assert_int_eq(rd(DATA), *p);
		if (*p == '8')
			ck_assert_uint_eq(rooms(), 1);
	}
	ck_assert_uint_eq(rd(IIR), 0xc6);
	ck_assert_uint_eq(rd(LSR), 0xf1);
	ck_assert_uint_eq(rd(DATA), 0);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(input("g"), 1);
	ck_assert_uint_eq(rd(DATA), 'g');
	/* While nobody listens it waits. */
	wr(IER, 0);
	serial_break(serial);
	ck_assert_uint_eq(rd(LSR), 0x60);
	wr(IER, 0x05);
	ck_assert_uint_eq(rd(LSR), 0xf1);
}
END_TEST

START_TEST(fifo_control)
{
	open_port();
	ck_assert_uint_eq(input("abc"), 3);
	/* Clearing the transmitter or setting the level takes nothing away. */
	wr(FCR, 0xc5);
	ck_assert_uint_eq(rd(DATA), 'a');
	wr(FCR, 0x03);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(rd(IIR), 0xc1);
	ck_assert_uint_eq(rd(DATA), 0);
	/* Switched off, FIFOs are empty. */
	ck_assert_uint_eq(input("abc"), 3);
	wr(FCR, 0);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(rd(IIR), 0x01);
	/* A byte that came before they are switched on is kept. */
	ck_assert_uint_eq(input("d"), 1);
	edges();
	wr(FCR, 0x81);
	ck_assert_uint_eq(rd(IIR), 0xcc);
	ck_assert_uint_eq(rd(DATA), 'd');
	/* Without the enable bit, others don't count. */
	wr(FCR, 0xc0);
	wr(FCR, 0x01);
	ck_assert_uint_eq(input("e"), 1);
	ck_assert_uint_eq(rd(IIR), 0xc4);
}
END_TEST

START_TEST(loopback)
{
	wr(FCR, 0x01);
	for (unsigned int lines = 0; lines < 16; lines++) {
		unsigned int expect = (lines & 1 ? 0x20U : 0) | (lines & 2 ? 0x10U : 0) |
				      (lines & 4 ? 0x40U : 0) | (lines & 8 ? 0x80U : 0);

		wr(MCR, (uint8_t)(0x10 | lines));
		ck_assert_uint_eq(rd(MCR), 0x10 | lines);
		ck_assert_uint_eq(rd(MSR) & 0xf0, expect);
		ck_assert_uint_eq(rd(MSR) & 0x0f, 0);
	}
	/* RI tells its trailing edge only. */
	wr(MCR, 0x1f);
	rd(MSR);
	wr(MCR, 0x1b);
	ck_assert_uint_eq(rd(MSR), 0xb4);
	wr(MCR, 0x1f);
	ck_assert_uint_eq(rd(MSR), 0xf0);

	wr(IER, 0x01);
	ck_assert_uint_eq(input("x"), 0); /* the line is cut */
	for (unsigned int i = 0; i < 17; i++)
		wr(DATA, (uint8_t)i);
	ck_assert_uint_eq(n_sent, 0);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(rd(LSR), 0x63); /* the 17th overran */
	ck_assert_uint_eq(rd(LSR), 0x61);
	for (unsigned int i = 0; i < 16; i++)
		ck_assert_uint_eq(rd(DATA), i);
	ck_assert_uint_eq(rd(LSR), 0x60);
	ck_assert_uint_eq(rooms(), 0);
	wr(MCR, 0x03);
	ck_assert_uint_eq(rooms(), 1); /* "x" may come */
	wr(DATA, 'y');
	ck_assert_uint_eq(n_sent, 1);
}
END_TEST

/* What Linux's driver does from the first access to an open port must lose no input. */
START_TEST(nothing_before_the_driver)
{
	for (int earlycon = 0; earlycon < 2; earlycon++) {
		teardown();
		setup();
		ck_assert_uint_eq(serial_input_space(serial), 0);
		if (earlycon)
			wr(MCR, 0x03);
		for (int i = 0; i < 100; i++) { /* early messages */
			ck_assert_uint_eq(rd(LSR) & 0x20, 0x20);
			wr(DATA, 'x');
			ck_assert_uint_eq(rd(LSR) & 0x40, 0x40);
			if (!earlycon)
				wr(IER, 0);
			else
				wr(DATA, '\n');
		}
		ck_assert_uint_eq(input("a"), 0);
		ck_assert_uint_eq(serial_input_space(serial), 0);
		/* startup */
		wr(FCR, 0x01);
		wr(FCR, 0x07);
		wr(FCR, 0x00);
		rd(LSR), rd(DATA), rd(IIR), rd(MSR);
		wr(LCR, 0x03);
		wr(MCR, 0x08);
		wr(IER, 0x02);
		rd(LSR), rd(IIR);
		wr(IER, 0x00);
		rd(LSR), rd(DATA), rd(IIR), rd(MSR);
		ck_assert_uint_eq(rooms(), 0);
		/* set_termios: the interrupt before the FIFOs */
		wr(IER, 0x05);
		wr(LCR, 0x93), wr(DATA, 1), wr(IER, 0), wr(LCR, 0x13);
		if (serial_input_space(serial) > 0)
			ck_assert_uint_eq(input("a"), 1);
		wr(FCR, 0x01);
		wr(FCR, 0x81);
		wr(MCR, 0x0b);
		if (!(rd(LSR) & 0x01))
			ck_assert_uint_eq(input("a"), 1);
		ck_assert_uint_eq(rd(DATA), 'a');
		ck_assert_uint_eq(serial_input_space(serial), 16);
	}
}
END_TEST

/* RTS, once used, is flow control. */
START_TEST(request_to_send)
{
	open_port();
	wr(MCR, 0x0b);
	ck_assert_uint_eq(serial_input_space(serial), 16);
	wr(MCR, 0x09);
	ck_assert_uint_eq(serial_input_space(serial), 0);
	ck_assert_uint_eq(input("a"), 0);
	rd(IIR), rd(LSR), rd(DATA);
	ck_assert_uint_eq(rooms(), 0);
	wr(MCR, 0x0b);
	ck_assert_uint_eq(rooms(), 1);
	ck_assert_uint_eq(input("a"), 1);
	ck_assert_uint_eq(rooms(), 0);
}
END_TEST

/* A guest without interrupts: it looks at the line status until there is something. */
START_TEST(polling)
{
	unsigned int looks = 0;

	ck_assert_uint_eq(serial_input_space(serial), 0);
	while (!rooms() && looks < 1000) {
		ck_assert_uint_eq(rd(LSR), 0x60);
		looks++;
	}
	ck_assert_uint_lt(looks, 100);
	/* Echo: as long as it goes on, so does the input. */
	for (unsigned int i = 0; i < 100; i++) {
		ck_assert_uint_eq(input("a"), 1);
		ck_assert_uint_eq(rd(LSR), 0x61);
		ck_assert_uint_eq(rd(DATA), 'a');
		ck_assert_uint_eq(rd(LSR), 0x60);
		wr(DATA, 'a');
		ck_assert_uint_eq(rd(LSR), 0x60);
	}
	ck_assert_uint_eq(n_sent, 100);
	ck_assert_uint_eq(edges(), 0);
}
END_TEST

START_TEST(room_is_told_once)
{
	open_port();
	ck_assert_uint_eq(input("0123456789abcdefghij"), 16);
	for (unsigned int i = 1; i <= 16; i++) {
		rd(DATA);
		ck_assert_uint_eq(rooms(), i == 8); /* time to refill */
	}
	ck_assert_uint_eq(serial_input_space(serial), 16);
	ck_assert_uint_eq(input("0123456789abcdef"), 16);
	for (unsigned int i = 1; i <= 16; i++)
		rd(DATA);
	ck_assert_uint_eq(rooms(), 0); /* all was taken: nobody waits */
	input("0123456789abcdef");
	ck_assert_uint_eq(serial_input_space(serial), 0);
	wr(FCR, 0x03);
	ck_assert_uint_eq(rooms(), 1);
}
END_TEST

START_TEST(wide_access)
{
	uint8_t data[8] = {'a', 0x05, 0x01, 0x03, 0x0b, 0, 0, 0x77};

	serial_bus_ops.write(serial, 0, data, 8);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert_uint_eq(sent[0], 'a');
	ck_assert_uint_eq(input("b"), 1);
	serial_bus_ops.read(serial, 0, data, 8);
	ck_assert_mem_eq(data, "b\x05\xc1\x03\x0b\x60\xb0\x77", 8);
	serial_bus_ops.read(serial, 6, data, 2);
	ck_assert_mem_eq(data, "\xb0\x77", 2);
}
END_TEST

/* --- a guest with interrupts against a sender, in two threads --- */

enum {
	STREAM = 200000,
};

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

static void *sender(void *arg)
{
	size_t at = 0;

	(void)arg;
	while (at < STREAM) {
		uint8_t chunk[40];
		size_t n = 0, taken;

		for (; n < sizeof(chunk) && at + n < STREAM; n++)
			chunk[n] = pattern(at + n);
		taken = serial_input(serial, chunk, n);
		at += taken;
		if (taken < n) {
			struct pollfd pfd = {.fd = room_fd, .events = POLLIN};

			if (poll(&pfd, 1, 10000) != 1)
				return "the room was never told";
			fd_eventfd_drain(room_fd);
		}
	}
	return NULL;
}

START_TEST(no_interrupt_is_lost)
{
	size_t received = 0, to_send = STREAM, looked = 0;
	const char *failure = NULL;
	void *sender_says;
	pthread_t thread;

	wr(FCR, (uint8_t)(0x07 | _i << 6));
	wr(MCR, 0x0b);
	ck_assert_int_eq(pthread_create(&thread, NULL, sender, NULL), 0);
	wr(IER, 0x07);
	while (!failure && (received < STREAM || to_send > 0)) {
		struct pollfd pfd = {.fd = irq_fd, .events = POLLIN};
		uint8_t iir;

		if (poll(&pfd, 1, 10000) != 1) {
			failure = "no interrupt came";
			break;
		}
		fd_eventfd_drain(irq_fd);
		/* As Linux's handler: until there is no cause. */
		while (!((iir = rd(IIR)) & 1)) {
			uint8_t lsr = rd(LSR);

			looked++;
			while (lsr & 1) {
				if (rd(DATA) != pattern(received))
					failure = "a byte is wrong";
				received++;
				lsr = rd(LSR);
			}
			if (lsr & 0x1e)
				failure = "a line error";
			for (int i = 0; i < 16 && to_send > 0 && rd(IER) & 2; i++, to_send--)
				wr(DATA, 'x');
			if (to_send == 0)
				wr(IER, 0x05);
			/* As a console message: everything off for a while. */
			if (looked % 64 == 0) {
				uint8_t ier = rd(IER);

				wr(IER, 0);
				wr(IER, ier);
			}
		}
	}
	ck_assert_msg(!failure, "%s after %zu bytes in, %zu left to send", failure, received,
		      to_send);
	pthread_join(thread, &sender_says);
	ck_assert_msg(!sender_says, "%s", (char *)sender_says);
	ck_assert_uint_eq(received, STREAM);
	ck_assert_uint_eq(n_sent, STREAM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("serial");
	TCase *tc = tcase_create("registers");
	TCase *threads = tcase_create("threads");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, null);
	tcase_add_test(tc, probed_as_16550a);
	tcase_add_test(tc, reset_state);
	tcase_add_test(tc, divisor);
	tcase_add_test(tc, transmit);
	tcase_add_test(tc, transmit_interrupt);
	tcase_add_test(tc, receive_without_fifos);
	tcase_add_test(tc, trigger_levels);
	tcase_add_test(tc, priority);
	tcase_add_test(tc, edge_after_last_look);
	tcase_add_test(tc, break_keeps_its_place);
	tcase_add_test(tc, fifo_control);
	tcase_add_test(tc, loopback);
	tcase_add_test(tc, nothing_before_the_driver);
	tcase_add_test(tc, request_to_send);
	tcase_add_test(tc, polling);
	tcase_add_test(tc, room_is_told_once);
	tcase_add_test(tc, wide_access);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_set_timeout(threads, 60);
	tcase_add_loop_test(threads, no_interrupt_is_lost, 0, 4);
	suite_add_tcase(suite, threads);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
