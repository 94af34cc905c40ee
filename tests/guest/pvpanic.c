/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the VMM that the guest panicked (QEMU, docs/specs/pvpanic.txt). */
#include "lib/guest.h"
#include "x86_64/ring0.h"

enum {
	PORT_PVPANIC = 0x505,
	PVPANIC_PANICKED = 1 << 0,
};

int main(void)
{
	uint32_t supported = port_read(PORT_PVPANIC, 1);

	if (supported == 0xff || !(supported & PVPANIC_PANICKED))
		fatal("pvpanic: supported events are %#x", supported);
	port_write(PORT_PVPANIC, 1, PVPANIC_PANICKED);
	/* A VMM may let the guest go on for a while. */
	for (deadline_t d = deadline(1000); !deadline_passed(d);)
		;
	fatal("still here");
}
