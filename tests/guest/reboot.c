/* SPDX-License-Identifier: Apache-2.0 */
/* Resets the machine by ACPI's reset register. */
#include "lib/acpi.h"
#include "lib/guest.h"

int main(void)
{
	acpi_reset();
	fatal("still here");
}
