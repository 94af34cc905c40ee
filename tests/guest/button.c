/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for the interrupt of the Generic Event Device, as which the power button arrives, and
 * powers off. Which event it was is not looked at: only AML knows where to read that.
 */
#include "lib/acpi.h"
#include "lib/guest.h"
#include "lib/irq.h"

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
	acpi_power_off();
	fatal("still here");
}
