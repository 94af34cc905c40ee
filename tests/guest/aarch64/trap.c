/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "aarch64/cpu.h"
#include "aarch64/irq.h"
#include "lib/guest.h"

enum {
	TRAP_IRQ = 5, /* IRQ from EL1 with its own stack, as everything here runs */
	ESR_CLASS_SHIFT = 26,
};

void trap(unsigned int entry); /* from trap.S */

/* An exception that nobody expects is told and ends the guest. */
void trap(unsigned int entry)
{
	static bool told;
	uint64_t syndrome = READ_REGISTER(esr_el1);

	if (entry == TRAP_IRQ) {
		irq_handle();
		return;
	}
	if (told)
		halt(); /* of what there is to do about the first one */
	told = true;
	print("exception %lu syndrome %#lx at %#lx entry %u address %#lx\n",
	      syndrome >> ESR_CLASS_SHIFT & 0x3f, syndrome, READ_REGISTER(elr_el1), entry,
	      READ_REGISTER(far_el1));
	guest_exit(STATUS_EXCEPTION);
}
