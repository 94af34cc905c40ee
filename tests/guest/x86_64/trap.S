/* SPDX-License-Identifier: Apache-2.0 */
/* What the interrupt descriptor table points to. */
#include "segments.h"

	.text
	/*
	 * ring0_call() from ring 3: rax = function, rdi, rsi, rdx = arguments. To the caller it is
	 * a function call, so that no registers need to be saved.
	 */
	.globl ring0_gate
ring0_gate:
	push	%rax		/* aligns the stack as a function expects it */
	call	*%rax
	add	$8, %rsp
	iretq

	/* One stub per vector, 16 bytes apart. They leave a struct trap_frame on the stack. */
	.macro	stub vector
	.balign	16
	.if	(\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17) || \
		(\vector == 21) || (\vector == 29) || (\vector == 30)
	.else
	push	$0		/* where these exceptions have an error code */
	.endif
	push	$\vector
	jmp	trap_common
	.endm

	.balign	16
	.globl trap_stubs
trap_stubs:
	.altmacro
	.set	vector, 0
	.rept	256
	stub	%vector
	.set	vector, vector + 1
	.endr
	.noaltmacro

trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	mov	%rsp, %rdi
	cld
	call	trap
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp	/* vector and error code */
	iretq

	.section .note.GNU-stack, "", @progbits
