/* SPDX-License-Identifier: Apache-2.0 */
/* Executes an invalid instruction: the library tells what and where, and ends the guest. */
#include "lib/guest.h"

int main(void)
{
	__builtin_trap();
}
