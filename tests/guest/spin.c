/* SPDX-License-Identifier: Apache-2.0 */
/* Never ends: runs, or with halt=on stands still. */
#include "lib/guest.h"

int main(void)
{
	print("ready\n");
	if (arg_switch("halt", false))
		halt();
	for (;;)
		;
}
