/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/x86_64/bzimage.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/error.h"

/* boot.rst, "The Real-Mode Kernel Header" */
#define HEADER_OFFSET	   0x1f1
#define BOOT_FLAG_OFFSET   0x1fe
#define BOOT_FLAG	   0xaa55
#define MAGIC_OFFSET	   0x202
#define MAGIC		   "HdrS"
#define SECTOR_SIZE	   512
#define PARAGRAPH_SIZE	   16 /* what syssize counts */
#define DEFAULT_SECTS	   4  /* what setup_sects 0 means */
#define VERSION_XLOADFLAGS 0x020c

/* boot.rst, "64-bit Boot Protocol": the entry is at this offset of the loaded kernel. */
#define ENTRY_OFFSET 0x200

_Static_assert(offsetof(struct boot_params, hdr) == HEADER_OFFSET, "boot.rst: 01F1 setup_sects");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, header) == MAGIC_OFFSET,
	       "boot.rst: 0202 header");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, xloadflags) == 0x236,
	       "boot.rst: 0236 xloadflags");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, pref_address) == 0x258,
	       "boot.rst: 0258 pref_address");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, init_size) == 0x260,
	       "boot.rst: 0260 init_size");

bool bzimage_match(const uint8_t *head, size_t len)
{
	return len >= MAGIC_OFFSET + 4 && head[BOOT_FLAG_OFFSET] == (BOOT_FLAG & 0xff) &&
	       head[BOOT_FLAG_OFFSET + 1] == BOOT_FLAG >> 8 &&
	       memcmp(head + MAGIC_OFFSET, MAGIC, 4) == 0;
}

/* What of the header is there: boot.rst says it ends at 0x202 + the byte at 0x201. */
static size_t header_size(const struct setup_header *header)
{
	size_t size = MAGIC_OFFSET - HEADER_OFFSET + (header->jump >> 8);

	return size < sizeof(*header) ? size : sizeof(*header);
}

static int check_header(const struct setup_header *header, size_t size, struct error *err)
{
	if (!(header->loadflags & LOADED_HIGH))
		return error_set(err, -ENOEXEC,
				 "it is a zImage, which only a BIOS can boot; "
				 "build a bzImage");
	if (header->version < VERSION_XLOADFLAGS)
		return error_set(err, -ENOEXEC,
				 "it speaks boot protocol %u.%02u; xvmm needs 2.12 or later "
				 "(Linux 3.8)",
				 header->version >> 8, header->version & 0xff);
	if (!(header->xloadflags & XLF_KERNEL_64))
		return error_set(err, -ENOEXEC,
				 "it is a 32-bit kernel (XLF_KERNEL_64 is not set); xvmm boots "
				 "64-bit kernels");
	if (size < offsetof(struct setup_header, init_size) + sizeof(header->init_size))
		return error_set(err, -ENOEXEC, "damaged: its setup header has only %zu bytes",
				 size);
	return 0;
}

int bzimage_open(struct bzimage *bz, const struct image *image, struct memory_range *extent,
		 struct error *err)
{
	struct setup_header *header = &bz->header;
	unsigned int sects;
	size_t size;
	int ret;

	*bz = (struct bzimage){0};
	ret = image_read(image, HEADER_OFFSET, header, sizeof(*header), "the setup header", err);
	if (ret)
		return ret;
	size = header_size(header);
	memset((char *)header + size, 0, sizeof(*header) - size);
	ret = check_header(header, size, err);
	if (ret)
		return ret;

	sects = header->setup_sects ? header->setup_sects : DEFAULT_SECTS;
	bz->offset = ((uint64_t)sects + 1) * SECTOR_SIZE;
	bz->size = (uint64_t)header->syssize * PARAGRAPH_SIZE;
	ret = image_check(image, bz->offset, bz->size, "the kernel", err);
	if (ret)
		return ret;
	if (bz->size <= ENTRY_OFFSET)
		return error_set(err, -ENOEXEC, "damaged: its kernel has only %llu bytes",
				 (unsigned long long)bz->size);

	/*
	 * Always where it would like to be: a kernel that is loaded lower moves itself up to
	 * pref_address even if it is relocatable (boot.rst on pref_address; LOAD_PHYSICAL_ADDR in
	 * the decompressor), so that it needs memory up to pref_address + init_size anyway.
	 */
	bz->entry = header->pref_address + ENTRY_OFFSET;
	extent->base = header->pref_address;
	extent->size = header->init_size > bz->size ? header->init_size : bz->size;
	return 0;
}

int bzimage_load(const struct bzimage *bz, const struct image *image,
		 const struct guest_memory *mem, struct error *err)
{
	return image_load(image, bz->offset, mem, gpa(bz->header.pref_address), bz->size, err);
}
