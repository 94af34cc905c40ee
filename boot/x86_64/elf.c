/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/x86_64/elf.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"

/* Xen, xen/include/public/elfnote.h; the name counts its NUL. */
#define XEN_NOTE_NAME		 "Xen"
#define XEN_ELFNOTE_PHYS32_ENTRY 18

_Static_assert(sizeof(Elf64_Ehdr) == 64, "gABI, ELF header");
_Static_assert(sizeof(Elf64_Phdr) == 56, "gABI, program header");
_Static_assert(sizeof(Elf64_Nhdr) == 12, "gABI, note section");

struct machine {
	uint16_t number; /* e_machine */
	const char *name;
};

static const struct machine machines[] = {
	{EM_SPARC, "sparc"},	 {EM_386, "i386 (32-bit x86)"},
	{EM_68K, "m68k"},	 {EM_MIPS, "mips"},
	{EM_PARISC, "hppa"},	 {EM_PPC, "powerpc"},
	{EM_PPC64, "powerpc64"}, {EM_S390, "s390"},
	{EM_ARM, "arm"},	 {EM_SPARCV9, "sparc64"},
	{EM_IA_64, "ia64"},	 {EM_AARCH64, "aarch64"},
	{EM_RISCV, "riscv"},	 {258 /* EM_LOONGARCH */, "loongarch"},
};

bool elf_match(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static int check_machine(const Elf64_Ehdr *ehdr, struct error *err)
{
	uint16_t machine = ehdr->e_ident[EI_DATA] == ELFDATA2MSB ? be16toh(ehdr->e_machine)
								 : le16toh(ehdr->e_machine);

	if (machine == EM_X86_64 && ehdr->e_ident[EI_CLASS] == ELFCLASS64 &&
	    ehdr->e_ident[EI_DATA] == ELFDATA2LSB)
		return 0;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].number == machine)
			return error_set(err, -ENOEXEC,
					 "it is made for %s; xvmm boots x86-64 kernels here",
					 machines[i].name);
	if (machine != EM_X86_64)
		return error_set(err, -ENOEXEC,
				 "it is made for another machine (ELF number %u); xvmm boots "
				 "x86-64 kernels here",
				 machine);
	return error_set(err, -ENOEXEC,
			 "it is not a 64-bit little-endian ELF file; xvmm boots "
			 "64-bit kernels");
}

static int check_header(const Elf64_Ehdr *ehdr, struct error *err)
{
	int ret = check_machine(ehdr, err);

	if (ret)
		return ret;
	if (ehdr->e_type == ET_REL)
		return error_set(err, -ENOEXEC, "it is an ELF object file (a module?), no kernel");
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return error_set(err, -ENOEXEC, "it is an ELF file of type %u, no kernel",
				 ehdr->e_type);
	if (ehdr->e_phnum == 0)
		return error_set(err, -ENOEXEC, "it is an ELF file without program headers");
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || ehdr->e_phnum > ELF_MAX_PROGRAM_HEADERS)
		return error_set(err, -ENOEXEC,
				 "damaged: it has %u program headers of %u bytes; at most %d of "
				 "%zu are allowed",
				 ehdr->e_phnum, ehdr->e_phentsize, ELF_MAX_PROGRAM_HEADERS,
				 sizeof(Elf64_Phdr));
	return 0;
}

static int add_segment(struct elf *elf, const struct image *image, const Elf64_Phdr *phdr,
		       struct error *err)
{
	uint64_t end;
	int ret;

	if (phdr->p_memsz == 0 && phdr->p_filesz == 0)
		return 0;
	if (phdr->p_filesz > phdr->p_memsz)
		return error_set(err, -ENOEXEC,
				 "damaged: the segment at 0x%llx has %llu bytes in the file and "
				 "only %llu in memory",
				 (unsigned long long)phdr->p_paddr,
				 (unsigned long long)phdr->p_filesz,
				 (unsigned long long)phdr->p_memsz);
	if (__builtin_add_overflow(phdr->p_paddr, phdr->p_memsz, &end))
		return error_set(err, -ENOEXEC,
				 "damaged: the segment at 0x%llx wraps around the end of the "
				 "address space",
				 (unsigned long long)phdr->p_paddr);
	ret = image_check(image, phdr->p_offset, phdr->p_filesz, "a segment", err);
	if (ret)
		return ret;
	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct memory_range *other = &elf->segments[i].memory;

		if (phdr->p_paddr < other->base + other->size && other->base < end)
			return error_set(
				err, -ENOEXEC, "damaged: the segments at 0x%llx and 0x%llx overlap",
				(unsigned long long)other->base, (unsigned long long)phdr->p_paddr);
	}
	elf->segments[elf->n_segments++] = (struct elf_segment){
		.offset = phdr->p_offset,
		.file_size = phdr->p_filesz,
		.memory = {phdr->p_paddr, phdr->p_memsz},
	};
	return 0;
}

/* Take the address from a PVH note's descriptor: as wide as a pointer of who built it. */
static int take_pvh_entry(struct elf *elf, const uint8_t *desc, uint32_t size, struct error *err)
{
	uint64_t entry = 0;

	if (size != sizeof(uint32_t) && size != sizeof(uint64_t))
		return error_set(err, -ENOEXEC, "damaged: its PVH note holds %u bytes, not 4 or 8",
				 size);
	memcpy(&entry, desc, size);
	elf->pvh_entry = le64toh(entry);
	elf->has_pvh_entry = true;
	return 0;
}

/* Look for the PVH note in the @size bytes of notes at @notes. */
static int parse_notes(struct elf *elf, const uint8_t *notes, size_t size, size_t align,
		       struct error *err)
{
	size_t at = 0;

	while (!elf->has_pvh_entry && size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nhdr;
		uint64_t desc, end;

		/* 64-bit sums of 32-bit sizes: no overflow. */
		memcpy(&nhdr, notes + at, sizeof(nhdr));
		desc = at + sizeof(nhdr) + (uint64_t)nhdr.n_namesz;
		desc = (desc + align - 1) & ~(uint64_t)(align - 1);
		end = desc + nhdr.n_descsz;
		if (end > size)
			return error_set(err, -ENOEXEC,
					 "damaged: a note ends %llu bytes after its segment",
					 (unsigned long long)(end - size));
		if (nhdr.n_type == XEN_ELFNOTE_PHYS32_ENTRY &&
		    nhdr.n_namesz == sizeof(XEN_NOTE_NAME) &&
		    memcmp(notes + at + sizeof(nhdr), XEN_NOTE_NAME, sizeof(XEN_NOTE_NAME)) == 0) {
			int ret = take_pvh_entry(elf, notes + desc, nhdr.n_descsz, err);

			if (ret)
				return ret;
		}
		end = (end + align - 1) & ~(uint64_t)(align - 1);
		at = end < size ? (size_t)end : size;
	}
	return 0;
}

static int read_notes(struct elf *elf, const struct image *image, const Elf64_Phdr *phdr,
		      struct error *err)
{
	/* gABI says 8 in 64-bit files, everybody aligns to 4 unless p_align says 8. */
	size_t align = phdr->p_align == 8 ? 8 : 4;
	uint8_t *notes;
	int ret;

	if (phdr->p_filesz == 0)
		return 0;
	if (phdr->p_filesz > ELF_MAX_NOTES)
		return error_set(err, -ENOEXEC,
				 "it has %llu bytes of notes; at most %d are allowed",
				 (unsigned long long)phdr->p_filesz, ELF_MAX_NOTES);
	notes = malloc(phdr->p_filesz);
	if (!notes)
		return error_cause(err, -ENOMEM);
	ret = image_read(image, phdr->p_offset, notes, phdr->p_filesz, "a segment of notes", err);
	if (!ret)
		ret = parse_notes(elf, notes, phdr->p_filesz, align, err);
	free(notes);
	return ret;
}

static struct memory_range find_extent(const struct elf *elf)
{
	uint64_t base = UINT64_MAX, end = 0;

	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct memory_range *memory = &elf->segments[i].memory;

		if (memory->base < base)
			base = memory->base;
		if (memory->base + memory->size > end)
			end = memory->base + memory->size;
	}
	return (struct memory_range){base, end - base};
}

int elf_open(struct elf *elf, const struct image *image, struct memory_range *extent,
	     struct error *err)
{
	Elf64_Phdr phdrs[ELF_MAX_PROGRAM_HEADERS];
	Elf64_Ehdr ehdr = {0};
	int ret;

	*elf = (struct elf){0};

	/* A 32-bit file may be shorter than a 64-bit header; its machine is in the first 20 bytes.
	 */
	ret = image_read(image, 0, &ehdr,
			 image->size < sizeof(ehdr) ? offsetof(Elf64_Ehdr, e_version)
						    : sizeof(ehdr),
			 "the ELF header", err);
	if (!ret)
		ret = check_machine(&ehdr, err);
	if (!ret)
		ret = image_check(image, 0, sizeof(ehdr), "the ELF header", err);
	if (!ret)
		ret = check_header(&ehdr, err);
	if (!ret)
		ret = image_read(image, ehdr.e_phoff, phdrs, ehdr.e_phnum * sizeof(phdrs[0]),
				 "the program header table", err);
	if (ret)
		return ret;

	elf->entry = ehdr.e_entry;
	for (unsigned int i = 0; i < ehdr.e_phnum; i++) {
		if (phdrs[i].p_type == PT_INTERP)
			return error_set(err, -ENOEXEC, "it is a program for Linux, no kernel");
		if (phdrs[i].p_type == PT_LOAD)
			ret = add_segment(elf, image, &phdrs[i], err);
		else if (phdrs[i].p_type == PT_NOTE)
			ret = read_notes(elf, image, &phdrs[i], err);
		if (ret)
			return ret;
	}
	if (elf->n_segments == 0)
		return error_set(err, -ENOEXEC, "it is an ELF file with nothing to load");
	*extent = find_extent(elf);
	return 0;
}

bool elf_has_code(const struct elf *elf, uint64_t addr)
{
	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *segment = &elf->segments[i];

		if (addr >= segment->memory.base &&
		    addr - segment->memory.base < segment->file_size)
			return true;
	}
	return false;
}

int elf_load(const struct elf *elf, const struct image *image, const struct guest_memory *mem,
	     struct error *err)
{
	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct elf_segment *segment = &elf->segments[i];
		int ret;

		if (segment->file_size == 0)
			continue;
		ret = image_load(image, segment->offset, mem, gpa(segment->memory.base),
				 segment->file_size, err);
		if (ret)
			return ret;
	}
	return 0;
}
