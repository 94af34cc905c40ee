/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for the interrupt of the Generic Event Device, as which the power button arrives, and
 * powers off; with then=panic it says that it panics (pvpanic.c). Which event it was is not looked
 * at: only AML knows where to read that.
 */
#include "lib/acpi.h"
#include "lib/guest.h"
#include "lib/irq.h"
#include "x86_64/ring0.h"

enum {
	PORT_PVPANIC = 0x505,
	PVPANIC_PANICKED = 1 << 0,
};

int main(void)
{
	struct acpi_device ged;
	struct irq irq;

	if (!acpi_device("ACPI0013", 0, &ged) || ged.gsi == 0)
		fatal("ACPI: no Generic Event Device with an interrupt");
	irq = irq_request(ged.gsi, ged.level_triggered ? IRQ_LEVEL_HIGH : IRQ_EDGE_HIGH);
	print("ready\n");
	irq_halt(irq, 0);
	print("pressed\n");
	if (arg_is("then", "panic"))
		port_write(PORT_PVPANIC, 1, PVPANIC_PANICKED);
	acpi_power_off();
	fatal("still here");
}
