/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial port's interrupt arrives in both directions (PC16550D data sheet, 8.6 and 8.7). Wants
 * "ping" on the console after it printed "ready".
 */
#include "lib/irq.h"
#include "lib/guest.h"
#include "lib/serial.h"
#include "lib/string.h"

static uint8_t cause(void)
{
	return serial_get(SERIAL_IIR) & 0x0f;
}

static void enable(uint8_t interrupts)
{
	serial_set(SERIAL_IER, interrupts);
}

static void check_transmit(struct irq irq)
{
	uint32_t seen = irq_count(irq);
	bool came;
	uint8_t first, second;

	enable(SERIAL_IER_TRANSMIT_EMPTY);
	came = irq_wait(irq, seen, 1000);
	first = cause();
	second = cause();
	enable(0);
	check(came, "enabling the transmit-empty interrupt raises it");
	check(first == SERIAL_IIR_TRANSMIT_EMPTY, "IIR says transmit empty: %#x", first);
	check(second == SERIAL_IIR_NONE, "reading IIR clears it: %#x", second);

	enable(SERIAL_IER_TRANSMIT_EMPTY);
	cause();
	seen = irq_count(irq);
	serial_set(SERIAL_DATA, '\n');
	came = irq_wait(irq, seen, 1000);
	enable(0);
	check(came, "a byte sent raises it again");

	seen = irq_count(irq);
	print("# nothing is enabled now\n");
	check(!irq_wait(irq, seen, 1), "no interrupt comes that is not enabled");
}

static void check_receive(struct irq irq)
{
	char text[4] = "";
	uint32_t seen = irq_count(irq);
	size_t len = 0;
	bool came;

	enable(SERIAL_IER_RECEIVED);
	print("ready\n");
	came = irq_wait(irq, seen, 5000);
	check(came, "a received byte raises an interrupt");
	check((cause() & SERIAL_IIR_RECEIVED) != 0, "IIR says received data");
	for (deadline_t d = deadline(1000); len < sizeof(text) && !deadline_passed(d);)
		len += serial_read(text + len, sizeof(text) - len, false);
	check(len == sizeof(text) && memcmp(text, "ping", sizeof(text)) == 0, "received: ping");
	enable(0);
}

int main(void)
{
	struct irq irq = irq_request(serial_gsi(), IRQ_EDGE_HIGH);

	check_transmit(irq);
	check_receive(irq);
	return check_done();
}
