/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of x86-64, as small as can be: changed by a test, then made a file. */
#ifndef TESTS_UNIT_X86_64_KERNEL_FILES_H
#define TESTS_UNIT_X86_64_KERNEL_FILES_H

#include <asm/bootparam.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/boot_files.h"

/* --- bzImage --- */

enum {
	BZIMAGE_SECTS = 3,
	BZIMAGE_SETUP = (BZIMAGE_SECTS + 1) * 512,
	BZIMAGE_PAYLOAD = 4096,
	BZIMAGE_PREF = 0x1000000,
	BZIMAGE_INIT_SIZE = 0x200000,
	BZIMAGE_INITRD_MAX = 0x7fffffff,
	BZIMAGE_CMDLINE_MAX = 2047,
};

union test_bzimage {
	uint8_t bytes[BZIMAGE_SETUP + BZIMAGE_PAYLOAD];
	struct {
		uint8_t boot_sector[0x1f1];
		struct setup_header header;
	} __attribute__((packed));
};

static inline void test_bzimage_init(union test_bzimage *bz)
{
	memset(bz, 0, sizeof(*bz));
	bz->header.setup_sects = BZIMAGE_SECTS;
	bz->header.syssize = BZIMAGE_PAYLOAD / 16;
	bz->header.boot_flag = 0xaa55;
	bz->header.jump = 0xeb | 0x6a << 8;
	bz->header.header = 0x53726448;
	bz->header.version = 0x020f;
	bz->header.loadflags = LOADED_HIGH;
	bz->header.initrd_addr_max = BZIMAGE_INITRD_MAX;
	bz->header.kernel_alignment = 0x200000;
	bz->header.relocatable_kernel = 1;
	bz->header.xloadflags = XLF_KERNEL_64;
	bz->header.cmdline_size = BZIMAGE_CMDLINE_MAX;
	bz->header.pref_address = BZIMAGE_PREF;
	bz->header.init_size = BZIMAGE_INIT_SIZE;
	for (size_t i = 0; i < BZIMAGE_PAYLOAD; i++)
		bz->bytes[BZIMAGE_SETUP + i] = (uint8_t)(i * 7 + 1);
}

/* --- ELF --- */

enum {
	ELF_TEXT_SIZE = 0x300,
	ELF_DATA_SIZE = 0x80,
	ELF_DATA_MEMORY = 0x5000,
	ELF_TEXT_ADDR = 0x200000,
	ELF_DATA_ADDR = 0x203000,
	ELF_ENTRY = ELF_TEXT_ADDR + 0x200,
	ELF_PVH_ENTRY = ELF_TEXT_ADDR + 0x10,
};

struct test_note {
	Elf64_Nhdr header;
	char name[4];
	uint64_t desc;
};

/* Two segments to load and two notes, the second of which is PVH's. */
struct test_elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr text;
	Elf64_Phdr data;
	Elf64_Phdr note;
	struct test_note notes[2];
	uint8_t text_bytes[ELF_TEXT_SIZE];
	uint8_t data_bytes[ELF_DATA_SIZE];
};

static inline void test_elf_init(struct test_elf *elf)
{
	memset(elf, 0, sizeof(*elf));
	memcpy(elf->ehdr.e_ident, ELFMAG, SELFMAG);
	elf->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	elf->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	elf->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	elf->ehdr.e_type = ET_EXEC;
	elf->ehdr.e_machine = EM_X86_64;
	elf->ehdr.e_version = EV_CURRENT;
	elf->ehdr.e_entry = ELF_ENTRY;
	elf->ehdr.e_phoff = offsetof(struct test_elf, text);
	elf->ehdr.e_phentsize = sizeof(Elf64_Phdr);
	elf->ehdr.e_phnum = 3;
	elf->text = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = offsetof(struct test_elf, text_bytes),
		.p_vaddr = 0xffffffff80000000ULL + ELF_TEXT_ADDR,
		.p_paddr = ELF_TEXT_ADDR,
		.p_filesz = ELF_TEXT_SIZE,
		.p_memsz = ELF_TEXT_SIZE,
	};
	elf->data = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = offsetof(struct test_elf, data_bytes),
		.p_vaddr = 0xffffffff80000000ULL + ELF_DATA_ADDR,
		.p_paddr = ELF_DATA_ADDR,
		.p_filesz = ELF_DATA_SIZE,
		.p_memsz = ELF_DATA_MEMORY,
	};
	elf->note = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = offsetof(struct test_elf, notes),
		.p_filesz = sizeof(elf->notes),
		.p_memsz = sizeof(elf->notes),
		.p_align = 4,
	};
	elf->notes[0] = (struct test_note){{4, 8, 18}, "GNU", 0xdead};
	elf->notes[1] = (struct test_note){{4, 8, 18}, "Xen", ELF_PVH_ENTRY};
	memset(elf->text_bytes, 0x90, sizeof(elf->text_bytes));
	memset(elf->data_bytes, 0xda, sizeof(elf->data_bytes));
}

/* One that boots, whichever it is: each architecture's kernel_files.h has this. */
static inline struct test_file test_kernel_make(void)
{
	struct test_elf elf;

	test_elf_init(&elf);
	return test_file_make(&elf, sizeof(elf));
}

#endif
