/* SPDX-License-Identifier: Apache-2.0 */
/* Resets the machine, by ACPI's reset register or PSCI. */
#include "lib/guest.h"
#include "lib/platform.h"

int main(void)
{
	platform_reset();
	fatal("still here");
}
