/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for the interrupt that a press of the power button is, and powers off; with then=panic it
 * says that it panics (pvpanic.c).
 */
#include "lib/guest.h"
#include "lib/irq.h"
#include "lib/platform.h"

int main(void)
{
	enum irq_trigger trigger;
	struct irq irq;
	uint32_t gsi;

	if (!platform_power_button(&gsi, &trigger))
		fatal("there is no power button");
	irq = irq_request(gsi, trigger);
	print("ready\n");
	irq_halt(irq, 0);
	print("pressed\n");
	if (arg_is("then", "panic"))
		platform_pvpanic(PVPANIC_PANICKED);
	platform_power_off();
	fatal("still here");
}
