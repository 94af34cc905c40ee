/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of xvmm selftest (tests/guest/selftest), an ELF file or Image. GUEST is its path. */
#ifdef __CET__
#include <cet.h> /* else the linker takes the whole program to be without */
#endif

	/* At the end: else the kernel has it in memory with what it lies next to, whenever xvmm runs. */
	.section .selftest_guest, "a", @progbits
	.balign	65536
	.globl	selftest_guest, selftest_guest_end
	.hidden	selftest_guest, selftest_guest_end
selftest_guest:
	.incbin	GUEST
selftest_guest_end:

	.section .note.GNU-stack, "", @progbits
