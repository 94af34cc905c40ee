/* SPDX-License-Identifier: Apache-2.0 */
/* The rest is the architecture's. */
#include "lib/irq.h"

#include "lib/guest.h"

bool irq_wait(struct irq irq, uint32_t seen, unsigned int milliseconds)
{
	for (deadline_t d = deadline(milliseconds); irq_count(irq) == seen;)
		if (deadline_passed(d))
			return false;
	return true;
}
