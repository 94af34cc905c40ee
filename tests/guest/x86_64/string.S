/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that compilers call on their own, also when told that there is no C library. */
	.text
	.globl	memcpy, memset
memcpy:
	mov	%rdi, %rax
	mov	%rdx, %rcx
	rep movsb
	ret

memset:
	mov	%rdi, %r8
	mov	%esi, %eax
	mov	%rdx, %rcx
	rep stosb
	mov	%r8, %rax
	ret

	.section .note.GNU-stack, "", @progbits
