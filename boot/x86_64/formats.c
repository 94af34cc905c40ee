/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of x86-64: bzImage and ELF; Linux's 64-bit boot protocol and PVH. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "boot/kernel.h"
#include "boot/x86_64/bzimage.h"
#include "boot/x86_64/elf.h"
#include "boot/x86_64/handover.h"
#include "boot/x86_64/linux_params.h"
#include "boot/x86_64/pvh.h"
#include "vmm/core/error.h"

static int create_state(struct kernel *kernel, size_t size, struct error *err)
{
	kernel->state = calloc(1, size);
	return kernel->state ? 0 : error_cause(err, -ENOMEM);
}

/* --- bzImage --- */

static int open_bzimage(struct kernel *kernel, struct error *err)
{
	const struct setup_header *header;
	struct bzimage *bz;
	int ret = create_state(kernel, sizeof(*bz), err);

	if (ret)
		return ret;
	bz = kernel->state;
	header = &bz->header;
	ret = bzimage_open(bz, &kernel->file, &kernel->extent, err);
	if (ret)
		return ret;
	if (kernel->protocol == BOOT_PROTOCOL_PVH)
		return error_set(err, -ENOEXEC,
				 "a bzImage has no PVH entry; the vmlinux in it may have one");
	kernel->protocol = BOOT_PROTOCOL_LINUX64;
	kernel->entry = bz->entry;
	/* boot.rst, "ramdisk_image". */
	if (kernel->initrd_limit > (uint64_t)header->initrd_addr_max + 1)
		kernel->initrd_limit = (uint64_t)header->initrd_addr_max + 1;
	if (kernel->cmdline_max > header->cmdline_size)
		kernel->cmdline_max = header->cmdline_size;
	return 0;
}

static int load_bzimage(const struct kernel *kernel, const struct guest_memory *mem,
			struct error *err)
{
	return bzimage_load(kernel->state, &kernel->file, mem, err);
}

static const struct kernel_format bzimage_format = {
	.match = bzimage_match,
	.open = open_bzimage,
	.load = load_bzimage,
};

/* --- ELF --- */

static int open_elf(struct kernel *kernel, struct error *err)
{
	struct elf *elf;
	int ret = create_state(kernel, sizeof(*elf), err);

	if (ret)
		return ret;
	elf = kernel->state;
	ret = elf_open(elf, &kernel->file, &kernel->extent, err);
	if (ret)
		return ret;
	if (kernel->protocol == BOOT_PROTOCOL_AUTO)
		kernel->protocol = elf->has_pvh_entry ? BOOT_PROTOCOL_PVH : BOOT_PROTOCOL_LINUX64;
	if (kernel->protocol == BOOT_PROTOCOL_PVH && !elf->has_pvh_entry)
		return error_set(err, -ENOEXEC,
				 "it has no PVH note (XEN_ELFNOTE_PHYS32_ENTRY); Linux has one "
				 "with CONFIG_PVH=y");
	kernel->entry = kernel->protocol == BOOT_PROTOCOL_PVH ? elf->pvh_entry : elf->entry;
	if (!elf_has_code(elf, kernel->entry))
		return error_set(err, -ENOEXEC, "its entry, 0x%llx, is in none of its segments",
				 (unsigned long long)kernel->entry);
	return 0;
}

static int load_elf(const struct kernel *kernel, const struct guest_memory *mem, struct error *err)
{
	return elf_load(kernel->state, &kernel->file, mem, err);
}

static const struct kernel_format elf_format = {
	.match = elf_match,
	.open = open_elf,
	.load = load_elf,
};

/* --- what they are told --- */

static const struct setup_header *setup_header(const struct kernel *kernel)
{
	const struct bzimage *bz = kernel->state;

	return kernel->format == &bzimage_format ? &bz->header : NULL;
}

static int hand_over(const struct kernel *kernel, const struct guest_memory *mem,
		     const struct arch_handover *from, gpa_t tables, struct arch_entry *entry,
		     struct error *err)
{
	struct handover handover = {
		.initrd = from->initrd,
		.cmdline = gpa(LAYOUT_CMDLINE),
		.tables = tables,
	};
	int ret = memory_map_build(&handover.map, mem, err);

	if (ret)
		return ret;
	if (memory_write(mem, handover.cmdline, from->cmdline, strlen(from->cmdline) + 1))
		return error_set(err, -EFAULT, "the guest has no memory for its command line");
	entry->protocol = kernel->protocol;
	entry->entry = gpa(kernel->entry);
	if (kernel->protocol == BOOT_PROTOCOL_PVH) {
		entry->params = gpa(LAYOUT_PVH_START_INFO);
		return pvh_write(mem, &handover, err);
	}
	entry->params = gpa(LAYOUT_ZERO_PAGE);
	return linux_params_write(mem, setup_header(kernel), &handover, err);
}

static const struct kernel_format *const formats[] = {&elf_format, &bzimage_format, NULL};

const struct boot_arch boot_arch = {
	.machine = "x86-64",
	.format_names = "neither a bzImage nor an ELF file",
	.space = {.base = LAYOUT_HIGH_RAM, .size = LAYOUT_HOLE - LAYOUT_HIGH_RAM},
	.cmdline_max = LAYOUT_CMDLINE_MAX - 1,
	.formats = formats,
	.hand_over = hand_over,
};
