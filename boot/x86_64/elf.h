/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables for x86-64 (System V gABI, chapters 4 and 5): Linux's vmlinux, unikernels, test
 * guests. Their segments go where p_paddr says; they are entered at e_entry by the 64-bit boot
 * protocol, or at the address in their PVH note (Xen, xen/include/public/elfnote.h,
 * XEN_ELFNOTE_PHYS32_ENTRY).
 */
#ifndef BOOT_X86_64_ELF_H
#define BOOT_X86_64_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "vmm/core/memory.h"

struct error;

enum {
	ELF_MAX_PROGRAM_HEADERS = 64,
	ELF_MAX_NOTES = 65536, /* bytes in one segment of notes */
};

struct elf_segment {
	uint64_t offset;	    /* in the file */
	uint64_t file_size;	    /* at most memory.size; the rest is zero */
	struct memory_range memory; /* guest-physical; not empty */
};

struct elf {
	uint64_t entry; /* e_entry */
	bool has_pvh_entry;
	uint64_t pvh_entry;
	size_t n_segments; /* at least 1; they don't overlap */
	struct elf_segment segments[ELF_MAX_PROGRAM_HEADERS];
};

/* True if the first @len bytes of a file, @head, are those of an ELF file (of any machine). */
bool elf_match(const uint8_t *head, size_t len);

/*
 * Read and check the headers and notes. *@extent: from the first to the last byte of guest memory
 * that the segments take (not checked). -ENOEXEC if the file is for another machine, 32-bit, no
 * executable or damaged, -ENODATA if it is truncated, -ENOMEM.
 */
int elf_open(struct elf *elf, const struct image *image, struct memory_range *extent,
	     struct error *err);

/* True if the file puts something at the guest-physical address @addr. */
bool elf_has_code(const struct elf *elf, uint64_t addr);

/*
 * Read the segments to where they belong, which must be RAM, and zero: what a segment has more in
 * memory than in the file is not touched. Errors of image_load().
 */
int elf_load(const struct elf *elf, const struct image *image, const struct guest_memory *mem,
	     struct error *err);

#endif
