/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's Image for arm64 (Documentation/arm64/booting.rst, "Call the kernel image"), as it is or
 * compressed with gzip, in one member; what follows that is not looked at. The flags in the header
 * are between the kernel and the CPU: its endianness, the size of its pages.
 */
#ifndef BOOT_AARCH64_LINUX_IMAGE_H
#define BOOT_AARCH64_LINUX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/core/memory.h"

struct error;

/* True if the first @len bytes of a file, @head, have an Image's header; or gzip's. */
bool linux_image_match(const uint8_t *head, size_t len);
bool linux_image_match_gzip(const uint8_t *head, size_t len);

/*
 * Read and check the header of an Image that is to be put at text_offset from @base. *@extent: the
 * guest memory that the kernel uses before it knows the memory map; its base is the entry, too.
 * -ENOEXEC if it is no Image, too old or damaged, -ENODATA if it is truncated.
 */
int linux_image_open(const struct image *file, bool gzip, uint64_t base,
		     struct memory_range *extent, struct error *err);

/* Read it to @extent, which must be RAM. Errors of image_load() or, of gzip, -ENOEXEC. */
int linux_image_load(const struct image *file, bool gzip, const struct memory_range *extent,
		     const struct guest_memory *mem, struct error *err);

#endif
