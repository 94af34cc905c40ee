/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/boot.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "boot/bzimage.h"
#include "boot/elf.h"
#include "boot/handover.h"
#include "boot/image.h"
#include "boot/linux_params.h"
#include "boot/pvh.h"
#include "vmm/core/error.h"

#define PAGE_SIZE 4096ULL
#define MIB	  (1ULL << 20)

enum {
	HEAD_SIZE = 1024, /* what tells the formats apart lies in a file's first bytes */
};

enum kernel_format {
	KERNEL_BZIMAGE,
	KERNEL_ELF,
};

struct boot_image {
	const struct boot_config *config;
	struct image kernel;
	struct image initrd; /* fd -1: none */
	enum kernel_format format;
	union {
		struct bzimage bzimage;
		struct elf elf;
	};
	enum boot_protocol protocol; /* not AUTO */
	uint64_t entry;
	struct memory_range extent; /* what the kernel takes before it knows the memory map */
	size_t cmdline_len;	    /* without the final NUL */
	uint64_t initrd_limit;	    /* where the initrd must end at the latest */
};

/* --- files that are no kernel --- */

/* How files begin that are given for a kernel. The first match counts. */
struct stranger {
	size_t offset;
	size_t len;
	const char *bytes;
	const char *name;
	const char *unpack; /* the command that does, if the name is that of a compression */
};

static const struct stranger strangers[] = {
	{0, 2, "\x1f\x8b", "gzip", "gunzip -c"},
	{0, 6, "\xfd\x37zXZ\0", "xz", "unxz -c"},
	{0, 3, "BZh", "bzip2", "bunzip2 -c"},
	{0, 4, "\x28\xb5\x2f\xfd", "zstd", "zstd -dc"},
	{0, 4, "\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
	{0, 4, "\x02\x21\x4c\x18", "lz4", "lz4 -dc"},
	{0, 4, "\x89LZO", "lzo", "lzop -dc"},
	{0, 3, "\x5d\0\0", "lzma", "unlzma -c"},
	{56, 4, "ARM\x64", "a kernel for arm64 (aarch64); xvmm boots x86-64 kernels here", NULL},
	{56, 4, "RSC\x05", "a kernel for riscv; xvmm boots x86-64 kernels here", NULL},
	{36, 4, "\x18\x28\x6f\x01", "a kernel for 32-bit arm; xvmm boots x86-64 kernels here",
	 NULL},
	{4, 4, "zimg", "a compressed EFI kernel, which only EFI firmware can unpack", NULL},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot image (uImage); give the kernel that is in it", NULL},
	{0, 5, "07070", "a cpio archive, as initrds are", NULL},
	{0, 2, "MZ",
	 "a PE (EFI) program without Linux's setup header; if it is a unified kernel image, try: "
	 "objcopy -O binary -j .linux FILE vmlinuz",
	 NULL},
};

static bool is_text(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isprint(head[i]) && !isspace(head[i]))
			return false;
	return true;
}

static int explain_stranger(const uint8_t *head, size_t len, struct error *err)
{
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		const struct stranger *stranger = &strangers[i];

		if (len < stranger->offset + stranger->len ||
		    memcmp(head + stranger->offset, stranger->bytes, stranger->len) != 0)
			continue;
		if (stranger->unpack)
			return error_set(err, -ENOEXEC,
					 "it is compressed as a whole with %s; unpack it first: "
					 "%s FILE > vmlinux",
					 stranger->name, stranger->unpack);
		return error_set(err, -ENOEXEC, "it is %s", stranger->name);
	}
	return error_set(err, -ENOEXEC, "it is %s, neither a bzImage nor an ELF file",
			 is_text(head, len) ? "text" : "of no known kind");
}

/* --- opening --- */

static int open_bzimage(struct boot_image *image, struct error *err)
{
	const struct setup_header *header = &image->bzimage.header;
	int ret;

	image->format = KERNEL_BZIMAGE;
	ret = bzimage_open(&image->bzimage, &image->kernel, &image->extent, err);
	if (ret)
		return ret;
	if (image->config->protocol == BOOT_PROTOCOL_PVH)
		return error_set(err, -ENOEXEC,
				 "a bzImage has no PVH entry; the vmlinux in it may have one");
	image->protocol = BOOT_PROTOCOL_LINUX64;
	image->entry = image->bzimage.entry;
	if (image->initrd_limit > (uint64_t)header->initrd_addr_max + 1)
		image->initrd_limit = (uint64_t)header->initrd_addr_max + 1;
	return 0;
}

static int open_elf(struct boot_image *image, struct error *err)
{
	const struct elf *elf = &image->elf;
	int ret;

	image->format = KERNEL_ELF;
	ret = elf_open(&image->elf, &image->kernel, &image->extent, err);
	if (ret)
		return ret;
	image->protocol = image->config->protocol;
	if (image->protocol == BOOT_PROTOCOL_AUTO)
		image->protocol = elf->has_pvh_entry ? BOOT_PROTOCOL_PVH : BOOT_PROTOCOL_LINUX64;
	if (image->protocol == BOOT_PROTOCOL_PVH && !elf->has_pvh_entry)
		return error_set(err, -ENOEXEC,
				 "it has no PVH note (XEN_ELFNOTE_PHYS32_ENTRY); Linux has one "
				 "with CONFIG_PVH=y");
	image->entry = image->protocol == BOOT_PROTOCOL_PVH ? elf->pvh_entry : elf->entry;
	if (!elf_has_code(elf, image->entry))
		return error_set(err, -ENOEXEC, "its entry, 0x%llx, is in none of its segments",
				 (unsigned long long)image->entry);
	return 0;
}

static int open_kernel(struct boot_image *image, struct error *err)
{
	uint8_t head[HEAD_SIZE];
	size_t len = sizeof(head);
	int ret;

	ret = image_open(&image->kernel, image->config->kernel, err);
	if (ret)
		return ret;
	if (image->kernel.size < len)
		len = (size_t)image->kernel.size;
	ret = image_read(&image->kernel, 0, head, len, "the file", err);
	if (ret)
		return ret;

	if (elf_match(head, len))
		ret = open_elf(image, err);
	else if (bzimage_match(head, len))
		ret = open_bzimage(image, err);
	else
		ret = explain_stranger(head, len, err);
	if (ret)
		return ret;
	if (image->extent.base < LAYOUT_HIGH_RAM || image->extent.base > LAYOUT_HOLE ||
	    image->extent.size > LAYOUT_HOLE - image->extent.base)
		return error_set(err, -ENOEXEC,
				 "it wants %llu bytes at 0x%llx; kernels go from 0x%llx to 0x%llx",
				 (unsigned long long)image->extent.size,
				 (unsigned long long)image->extent.base, LAYOUT_HIGH_RAM,
				 LAYOUT_HOLE);
	return 0;
}

static int check_cmdline(struct boot_image *image, struct error *err)
{
	size_t max = LAYOUT_CMDLINE_MAX - 1;

	if (image->format == KERNEL_BZIMAGE && image->bzimage.header.cmdline_size < max)
		max = image->bzimage.header.cmdline_size;
	image->cmdline_len = image->config->cmdline ? strlen(image->config->cmdline) : 0;
	if (image->cmdline_len > max)
		return error_set(err, -E2BIG,
				 "kernel command line: it has %zu bytes, this kernel takes at "
				 "most %zu",
				 image->cmdline_len, max);
	return 0;
}

/* Put the name of the file before what @err says; cut where the cause would be lost. */
static int blame(struct error *err, int ret, const char *what, const char *path)
{
	if (ret)
		error_prefix(err, "%s %.255s: ", what, path);
	return ret;
}

static int open_files(struct boot_image *image, struct error *err)
{
	const struct boot_config *config = image->config;
	int ret = blame(err, open_kernel(image, err), "kernel", config->kernel);

	if (!ret && config->initrd)
		ret = blame(err, image_open(&image->initrd, config->initrd, err), "initrd",
			    config->initrd);
	if (!ret)
		ret = check_cmdline(image, err);
	return ret;
}

int boot_open(const struct boot_config *config, struct boot_image **image, struct error *err)
{
	struct boot_image *new = calloc(1, sizeof(*new));
	int ret;

	*image = NULL;
	if (!new)
		return error_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	new->config = config;
	new->kernel.fd = -1;
	new->initrd.fd = -1;
	new->initrd_limit = LAYOUT_HOLE;
	ret = open_files(new, err);
	if (ret) {
		boot_close(new);
		return ret;
	}
	new->kernel.name = "kernel";
	new->initrd.name = "initrd";
	new->kernel.log = new->initrd.log = config->log;
	*image = new;
	return 0;
}

uint64_t boot_kernel_size(const struct boot_image *image)
{
	return image->extent.size;
}

void boot_close(struct boot_image *image)
{
	if (!image)
		return;
	image_close(&image->kernel);
	image_close(&image->initrd);
	free(image);
}

/* --- loading --- */

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static int load_kernel(const struct boot_image *image, const struct guest_memory *mem,
		       struct error *err)
{
	uint64_t end = image->extent.base + image->extent.size;

	/* The first region is the one below 4 GiB, from 0 on: memory_map_build() has seen to it. */
	if (end > mem->regions[0].range.size)
		return error_set(
			err, -ENOMEM,
			"it needs the first %llu MiB of memory; try: --memory %lluM or more",
			(unsigned long long)(round_up(end, MIB) / MIB),
			(unsigned long long)(round_up(end, MIB) / MIB));
	if (image->format == KERNEL_BZIMAGE)
		return bzimage_load(&image->bzimage, &image->kernel, mem, err);
	return elf_load(&image->elf, &image->kernel, mem, err);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t room(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/*
 * As high as it may be (boot.rst, "ramdisk_image"), in whole pages, for Linux frees them. Where
 * memory is so small that nothing is left above the kernel, below it, which Linux keeps off too.
 */
static int load_initrd(const struct boot_image *image, const struct guest_memory *mem,
		       struct memory_range *initrd, struct error *err)
{
	uint64_t limit = image->initrd_limit & ~(PAGE_SIZE - 1);
	uint64_t kernel_end = round_up(image->extent.base + image->extent.size, PAGE_SIZE);
	uint64_t kernel_start = min(image->extent.base & ~(PAGE_SIZE - 1), limit);
	uint64_t top = min(mem->regions[0].range.size, limit);
	uint64_t below = room(LAYOUT_HIGH_RAM, kernel_start);
	uint64_t most = room(kernel_end, limit);
	uint64_t size = round_up(image->initrd.size, PAGE_SIZE);

	*initrd = (struct memory_range){0};
	if (image->initrd.fd < 0)
		return 0;
	if (size <= room(kernel_end, top))
		initrd->base = top - size;
	else if (size <= below)
		initrd->base = kernel_start - size;
	else if (size > most)
		return error_set(err, -EFBIG,
				 "it has %llu bytes; this kernel leaves at most %llu below 0x%llx, "
				 "where an initrd must end, however much memory there is",
				 (unsigned long long)image->initrd.size,
				 (unsigned long long)(most > below ? most : below),
				 (unsigned long long)limit);
	else
		return error_set(err, -ENOMEM,
				 "it has %llu bytes, which don't fit into memory beside the "
				 "kernel; try: --memory %lluM or more",
				 (unsigned long long)image->initrd.size,
				 (unsigned long long)(round_up(kernel_end + size, MIB) / MIB));
	initrd->size = image->initrd.size;
	return image_load(&image->initrd, 0, mem, gpa(initrd->base), initrd->size, err);
}

static int load_cmdline(const struct boot_image *image, const struct guest_memory *mem, gpa_t addr,
			struct error *err)
{
	const char *cmdline = image->config->cmdline ? image->config->cmdline : "";

	if (memory_write(mem, addr, cmdline, image->cmdline_len + 1))
		return error_set(err, -EFAULT, "the guest has no memory for its command line");
	return 0;
}

int boot_load(const struct boot_image *image, const struct guest_memory *mem, gpa_t tables,
	      struct arch_entry *entry, struct error *err)
{
	const struct boot_config *config = image->config;
	struct handover handover = {.cmdline = gpa(LAYOUT_CMDLINE), .tables = tables};
	int ret;

	ret = memory_map_build(&handover.map, mem, err);
	if (ret)
		return ret;
	ret = blame(err, load_kernel(image, mem, err), "kernel", config->kernel);
	if (ret)
		return ret;
	ret = blame(err, load_initrd(image, mem, &handover.initrd, err), "initrd", config->initrd);
	if (ret)
		return ret;
	ret = load_cmdline(image, mem, handover.cmdline, err);
	if (ret)
		return ret;

	entry->protocol = image->protocol;
	entry->entry = gpa(image->entry);
	if (image->protocol == BOOT_PROTOCOL_PVH) {
		entry->params = gpa(LAYOUT_PVH_START_INFO);
		return pvh_write(mem, &handover, err);
	}
	entry->params = gpa(LAYOUT_ZERO_PAGE);
	return linux_params_write(mem,
				  image->format == KERNEL_BZIMAGE ? &image->bzimage.header : NULL,
				  &handover, err);
}
