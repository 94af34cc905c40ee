/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot entries of a guest. All end in ring 3, in guest_start(boot protocol, boot data).
 *
 * Ring 0 may be emulated one instruction at a time (KVM's PVM back end), so that nothing is done
 * here that ring 3 can do.
 */
#include "boot.h"
#include "segments.h"

	.section .head, "ax"
	.globl image_base
image_base:
	.code32
	/* Linux's 32-bit entry, which the setup header says nobody should take. */
0:	hlt
	jmp	0b

	/*
	 * Linux 64-bit boot protocol (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"):
	 * rsi = boot_params. A boot loader may put a relocatable kernel elsewhere: as Linux does,
	 * move to where we were linked.
	 */
	.org	0x200
	.code64
	.globl linux64_entry
linux64_entry:
	cli
	cld
	mov	%rsi, %rbx
	mov	$BOOT_LINUX64, %ebp
	lea	image_base(%rip), %rsi
	mov	$image_base, %edi
	cmp	%rsi, %rdi
	je	1f
	mov	$image_qwords, %ecx
	rep movsq
1:	mov	$start64, %eax
	jmp	*%rax

	.text
	/* PVH (Xen's docs/misc/pvh.pandoc): 32-bit, no paging, ebx = hvm_start_info. */
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	mov	$BOOT_PVH, %ebp
	lgdt	gdt_pointer
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
	lgdt	gdt_pointer
	mov	$page_map_level4, %eax
	mov	%rax, %cr3
	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	mov	$ring0_stacks + STACK_SIZE, %esp
	push	$SEL_CODE64
	push	$1f
	lretq
1:	xor	%edi, %edi
	call	cpu_init
	mov	%ebp, %edi
	mov	%rbx, %rsi
	mov	$guest_start, %edx
	mov	$ring3_stacks + STACK_SIZE, %ecx

	/*
	 * Goes to ring 3: rdx = function, rcx = its stack, rdi and rsi = its arguments.
	 * The function must not return.
	 */
	.globl enter_ring3
enter_ring3:
	mov	$SEL_USER_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	%rax
	sub	$8, %rcx		/* as after a call: the ABI's stack alignment */
	push	%rcx
	push	$0x202			/* rflags: interrupts on */
	push	$SEL_USER_CODE
	push	%rdx
	iretq

	/* XEN_ELFNOTE_PHYS32_ENTRY */
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	pvh_entry

	.data
	.balign	8
	.word	0, 0, 0
	.globl gdt_pointer
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt
	.balign	8
	.globl gdt
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* SEL_CODE64 */
	.quad	0x00cf93000000ffff	/* SEL_DATA */
	.quad	0x00cff3000000ffff	/* SEL_USER_DATA */
	.quad	0x00affb000000ffff	/* SEL_USER_CODE */
	.quad	0x00cf9b000000ffff	/* SEL_CODE32 */
	.fill	MAX_CPUS * 2, 8, 0	/* SEL_TSS... */
gdt_end:

	/*
	 * Identity map of the first 4 GiB by 2 MiB pages that ring 3 may use; the last GiB, where
	 * the devices are, is uncached. paging.c adds what is above.
	 */
	.section .data.page_tables, "aw"
	.balign	4096
	.globl page_map_level4
page_map_level4:
	.quad	page_directory_pointers + 7
	.fill	511, 8, 0
	.globl page_directory_pointers
page_directory_pointers:
	.quad	page_directories + 7
	.quad	page_directories + 0x1007
	.quad	page_directories + 0x2007
	.quad	page_directories + 0x3007
	.fill	508, 8, 0
page_directories:
	.set	page, 0
	.rept	3 * 512
	.quad	page + 0x87
	.set	page, page + 0x200000
	.endr
	.rept	512
	.quad	page + 0x9f
	.set	page, page + 0x200000
	.endr

	.section .noinit, "aw", @nobits
	.balign	16
	.globl ring0_stacks
ring0_stacks:
	.skip	MAX_CPUS * STACK_SIZE
	.globl ring3_stacks
ring3_stacks:
	.skip	MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
