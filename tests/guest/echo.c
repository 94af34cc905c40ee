/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads "count" bytes from the console and prints their sum(1); with echo=on, sends them back.
 * Waits for interrupts, or with wait=poll, looks at the port all the time.
 */
#include "lib/guest.h"
#include "lib/irq.h"
#include "lib/serial.h"
#include "lib/sum.h"

int main(void)
{
	struct irq irq = irq_request(serial_gsi(), IRQ_EDGE_HIGH);
	uint64_t count = arg_number("count", 1);
	bool echo = arg_switch("echo", false);
	bool poll = arg_is("wait", "poll");
	struct sum sum = {0};
	uint8_t data[4096];

	serial_set(SERIAL_IER, SERIAL_IER_RECEIVED);
	print("ready\n");
	for (uint64_t left = count; left > 0;) {
		uint32_t seen = irq_count(irq);
		size_t max = left < sizeof(data) ? left : sizeof(data);
		size_t len = serial_read(data, max, poll);

		if (len == 0)
			irq_halt(irq, seen);
		sum_add(&sum, data, len);
		if (echo)
			serial_write(data, len);
		left -= len;
	}
	print("%lu bytes, sum %05u\n", count, sum.value);
	if (serial_get(SERIAL_LSR) & SERIAL_LSR_OVERRUN)
		fatal("the serial port says that it dropped input");
	return STATUS_PASS;
}
