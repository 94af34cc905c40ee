/* SPDX-License-Identifier: Apache-2.0 */
/* Powers off, by ACPI or PSCI. */
#include "lib/guest.h"
#include "lib/platform.h"

int main(void)
{
	platform_power_off();
	fatal("still here");
}
