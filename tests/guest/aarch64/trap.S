/* SPDX-License-Identifier: Apache-2.0 */
	/* What VBAR_EL1 points to: 16 entries of 128 bytes. All end in trap(entry). */
	.macro	vector number
	.balign	128
	sub	sp, sp, #176
	stp	x0, x1, [sp]
	mov	x0, #\number
	b	trap_common
	.endm

	.text
	.balign	2048
	.globl	trap_vectors
trap_vectors:
	.altmacro
	.set	number, 0
	.rept	16
	vector	%number
	.set	number, number + 1
	.endr
	.noaltmacro

	/* The registers that a function may change. ELR and SPSR stay: nothing nests. */
trap_common:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x30, [sp, #144]
	bl	trap
	ldp	x18, x30, [sp, #144]
	ldp	x16, x17, [sp, #128]
	ldp	x14, x15, [sp, #112]
	ldp	x12, x13, [sp, #96]
	ldp	x10, x11, [sp, #80]
	ldp	x8, x9, [sp, #64]
	ldp	x6, x7, [sp, #48]
	ldp	x4, x5, [sp, #32]
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp]
	add	sp, sp, #176
	eret

	.section .note.GNU-stack, "", @progbits
