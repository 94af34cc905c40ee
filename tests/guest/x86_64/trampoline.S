/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a CPU other than the first one begins after INIT and SIPI: in real mode, at TRAMPOLINE.
 * It goes the way of the PVH entry, and ends in ring 3, in smp_started(cpu).
 */
#include "segments.h"

	.section .rodata
	.globl trampoline, trampoline_end
trampoline:
	.code16
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_pointer16 - trampoline
	mov	$0x11, %eax		/* PE, ET */
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $start32
	.balign	4
gdt_pointer16:
	.word	SEL_TSS - 1
	.long	gdt
trampoline_end:

	.text
	.code32
start32:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	$page_map_level4, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx	/* EFER */
	rdmsr
	or	$0x100, %eax		/* LME */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax	/* PG */
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $start64

	.code64
start64:
	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	lgdt	gdt_pointer
	mov	smp_starting, %ebx
	mov	%ebx, %edi
	lea	1(%rdi), %eax
	imul	$STACK_SIZE, %eax, %eax
	lea	ring0_stacks(%rax), %esp
	lea	ring3_stacks(%rax), %ebp
	call	cpu_init
	mov	%ebx, %edi
	mov	$smp_started, %edx
	mov	%ebp, %ecx
	jmp	enter_ring3

	.section .note.GNU-stack, "", @progbits
