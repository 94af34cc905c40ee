/* SPDX-License-Identifier: Apache-2.0 */
/* Faults with no interrupt descriptor table to handle it, nor the faults that follow. */
#include "lib/guest.h"
#include "x86_64/ring0.h"

static uint64_t do_triple_fault(uint64_t unused, uint64_t unused2, uint64_t unused3)
{
	static const uint8_t empty[10];

	(void)unused;
	(void)unused2;
	(void)unused3;
	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	return 0;
}

int main(void)
{
	ring0_call(do_triple_fault, 0, 0, 0);
	fatal("still here");
}
