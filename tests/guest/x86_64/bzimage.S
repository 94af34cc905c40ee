/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest as a bzImage: boot sector and setup header (Linux, Documentation/arch/x86/boot.rst),
 * followed by the image as it is in memory, whose 64-bit entry is at 0x200. Built with
 * IMAGE (the file) defined, and the symbols of the ELF.
 *
 * There is no real-mode code and no 32-bit entry: a VMM that enters there sees it halt.
 */
	.section .text
	.code16
boot_sector:
0:	hlt
	jmp	0b

	.org	0x1f1
	.byte	1			/* setup_sects: after the boot sector */
	.word	1			/* root_flags: read-only */
	.long	(image_end - image + 15) / 16 /* syssize */
	.word	0			/* ram_size */
	.word	0xffff			/* vid_mode: normal */
	.word	0			/* root_dev */
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, header_end - 1f	/* jump */
1:	.ascii	"HdrS"
	.word	0x020f			/* version */
	.long	0			/* realmode_swtch */
	.word	0			/* start_sys_seg */
	.word	0			/* kernel_version: none */
	.byte	0			/* type_of_loader: to be filled in */
	.byte	0x01			/* loadflags: LOADED_HIGH */
	.word	0			/* setup_move_size */
	.long	0x100000		/* code32_start */
	.long	0, 0			/* ramdisk_image, ramdisk_size */
	.long	0			/* bootsect_kludge */
	.word	0			/* heap_end_ptr */
	.byte	0, 0			/* ext_loader_ver, ext_loader_type */
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x1000000		/* kernel_alignment: no copy to 16 MiB can overlap itself */
	.byte	1			/* relocatable_kernel */
	.byte	24			/* min_alignment */
	.word	0x0001			/* xloadflags: XLF_KERNEL_64 */
	.long	2047			/* cmdline_size */
	.long	0			/* hardware_subarch */
	.quad	0			/* hardware_subarch_data */
	.long	0, 0			/* payload_offset, payload_length: nothing compressed */
	.quad	0			/* setup_data */
	.quad	0x1000000		/* pref_address */
	.long	image_memory_size	/* init_size */
	.long	0			/* handover_offset */
	.long	0			/* kernel_info_offset */
header_end:
	.org	2 * 512
image:
	.incbin	IMAGE
	.balign	16
image_end:
