/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that compilers call on their own, also when told that there is no C library. Each
 * access is of one register and changes no address, as KVM wants it of those to a device.
 */
	.text
	.globl	memcpy, memset
memcpy:
	mov	x3, #0
	subs	x4, x2, #8
	b.lo	2f
1:	ldr	x5, [x1, x3]
	str	x5, [x0, x3]
	add	x3, x3, #8
	cmp	x3, x4
	b.ls	1b
2:	cmp	x3, x2
	b.hs	3f
	ldrb	w5, [x1, x3]
	strb	w5, [x0, x3]
	add	x3, x3, #1
	b	2b
3:	ret

memset:
	mov	x3, #0
	and	x1, x1, #0xff
	mov	x4, #0x0101010101010101
	mul	x1, x1, x4
	subs	x4, x2, #8
	b.lo	2f
1:	str	x1, [x0, x3]
	add	x3, x3, #8
	cmp	x3, x4
	b.ls	1b
2:	cmp	x3, x2
	b.hs	3f
	strb	w1, [x0, x3]
	add	x3, x3, #1
	b	2b
3:	ret

	.section .note.GNU-stack, "", @progbits
