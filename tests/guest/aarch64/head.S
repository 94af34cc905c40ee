/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of an Image (Linux, Documentation/arch/arm64/booting.rst), and from the state that it
 * promises, with the MMU off at EL1, to guest_start(device tree).
 *
 * Until the MMU is on nothing is written: what goes by the caches then would not be seen.
 */
#include "layout.h"

	.section .head, "ax"
	.globl	image_header
image_header:
	b	entry			/* code0 */
	.word	0			/* code1 */
	.quad	0			/* text_offset */
	.quad	image_memory_size	/* image_size */
	.quad	0x2			/* flags: little-endian, pages of 4 KiB */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

	/* Clobbers x9. */
	.macro	enable_mmu
	/* Normal memory, cached as best as can be; normal memory that isn't cached: see paging.c. */
	mov	x9, #0x44ff
	msr	mair_el1, x9
	/*
	 * Pages of 4 KiB, 39 bits of virtual address (T0SZ), which is a table of level 1; walks are
	 * cached and inner shareable; no TTBR1; 40 bits of physical address.
	 */
	ldr	x9, =0x200803519
	msr	tcr_el1, x9
	adrp	x9, page_table
	msr	ttbr0_el1, x9
	ldr	x9, =trap_vectors
	msr	vbar_el1, x9
	isb
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	/* What must be 1, and I, C, M: caches and MMU. No alignment is checked. */
	ldr	x9, =0x30d01805
	msr	sctlr_el1, x9
	isb
	.endm

	.text
entry:
	adrp	x9, image_header
	ldr	x10, =image_header
1:	cmp	x9, x10			/* elsewhere there is nothing to be done, nor said */
	b.ne	1b
	enable_mmu
	ldr	x9, =stacks + STACK_SIZE
	mov	sp, x9
	b	guest_start

	/* What PSCI's CPU_ON is told (smp.c): x0 = number of the CPU. */
	.globl	secondary_entry
secondary_entry:
	enable_mmu
	ldr	x9, =stacks + STACK_SIZE
	mov	x10, #STACK_SIZE
	madd	x9, x0, x10, x9
	mov	sp, x9
	b	smp_started

	/* Identity map: devices in the first GiB, memory in the second. paging.c adds to it. */
	.section .data.page_tables, "aw"
	.balign	4096
	.globl	page_table
page_table:
	.quad	BLOCK_DEVICE
	.quad	0x40000000 + BLOCK_MEMORY
	.fill	PAGE_TABLE_ENTRIES - 2, 8, 0

	.section .noinit, "aw", @nobits
	.balign	16
stacks:
	.skip	MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
