/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's bzImage, entered by the 64-bit boot protocol (Documentation/arch/x86/boot.rst).
 *
 * The file: boot sector and real-mode code, which nobody runs here, with the setup header in it;
 * then the protected-mode kernel, which unpacks itself.
 */
#ifndef BOOT_X86_64_BZIMAGE_H
#define BOOT_X86_64_BZIMAGE_H

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/core/memory.h"

struct error;

struct bzimage {
	struct setup_header header; /* zero after what the file's own header has */
	uint64_t offset;	    /* of the protected-mode kernel in the file */
	uint64_t size;		    /* of it, in bytes */
	uint64_t entry;		    /* guest-physical */
};

/* True if the first @len bytes of a file, @head, have a setup header (of any version). */
bool bzimage_match(const uint8_t *head, size_t len);

/*
 * Read and check the setup header. *@extent: the guest memory that the kernel uses before it knows
 * the memory map (not checked). -ENOEXEC if it is a kernel that can't be entered in 64-bit mode,
 * -ENODATA if the file is truncated.
 */
int bzimage_open(struct bzimage *bz, const struct image *image, struct memory_range *extent,
		 struct error *err);

/* Read the kernel to the start of its extent, which must be RAM. Errors of image_load(). */
int bzimage_load(const struct bzimage *bz, const struct image *image,
		 const struct guest_memory *mem, struct error *err);

#endif
