/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest whose first instructions end it, by debug-exit: what it takes to come here and back is
 * the VMM's own (tests/bench). Entries as in head.S. It reads no boot data and needs no memory.
 */
	.section .head, "ax"
	.code32
	.globl pvh_entry
pvh_entry:
	xor	%eax, %eax
	out	%al, $0xf4
0:	hlt
	jmp	0b

	.org	0x200
	.code64
	.globl linux64_entry
linux64_entry:
	xor	%eax, %eax
	out	%al, $0xf4
0:	hlt
	jmp	0b

	/* XEN_ELFNOTE_PHYS32_ENTRY */
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	pvh_entry

	.section .note.GNU-stack, "", @progbits
