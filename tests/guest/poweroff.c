/* SPDX-License-Identifier: Apache-2.0 */
/* Powers off by ACPI. */
#include "lib/acpi.h"
#include "lib/guest.h"

int main(void)
{
	acpi_power_off();
	fatal("still here");
}
