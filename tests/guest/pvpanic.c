/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the VMM that the guest panicked (QEMU, docs/specs/pvpanic.txt). */
#include "lib/guest.h"
#include "lib/platform.h"

int main(void)
{
	uint8_t supported = platform_pvpanic_events();

	if (!(supported & PVPANIC_PANICKED))
		fatal("pvpanic: supported events are %#x", supported);
	platform_pvpanic(PVPANIC_PANICKED);
	/* A VMM may let the guest go on for a while. */
	for (deadline_t d = deadline(1000); !deadline_passed(d);)
		;
	fatal("still here");
}
