/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "boot/x86_64/elf.h"
#include "tests/unit/x86_64/kernel_files.h"

static int open_bytes(const void *bytes, size_t len, struct elf *elf, struct memory_range *extent,
		      struct error *err)
{
	struct test_file f = test_file_make(bytes, len);
	struct image image;
	int ret;

	ck_assert_int_eq(image_open(&image, f.path, err), 0);
	ret = elf_open(elf, &image, extent, err);
	image_close(&image);
	test_file_close(&f);
	return ret;
}

static void assert_accepted(const struct test_elf *file, struct elf *elf)
{
	struct memory_range extent;
	struct error err = {0};

	ck_assert_msg(open_bytes(file, sizeof(*file), elf, &extent, &err) == 0, "%s", err.text);
}

static void assert_refused_bytes(const void *bytes, size_t len, int code, const char *part)
{
	struct memory_range extent;
	struct error err = {0};
	struct elf elf;

	ck_assert_int_eq(open_bytes(bytes, len, &elf, &extent, &err), code);
	assert_error(err, code, part);
}

static void assert_refused(const struct test_elf *file, int code, const char *part)
{
	assert_refused_bytes(file, sizeof(*file), code, part);
}

START_TEST(reads_headers)
{
	struct memory_range extent;
	struct test_elf file;
	struct elf elf;

	test_elf_init(&file);
	ck_assert(elf_match((const uint8_t *)&file, 4));
	ck_assert(!elf_match((const uint8_t *)&file, 3));
	ck_assert_int_eq(open_bytes(&file, sizeof(file), &elf, &extent, NULL), 0);
	ck_assert_uint_eq(elf.entry, ELF_ENTRY);
	ck_assert(elf.has_pvh_entry);
	ck_assert_uint_eq(elf.pvh_entry, ELF_PVH_ENTRY);
	ck_assert_uint_eq(elf.n_segments, 2);
	ck_assert_uint_eq(extent.base, ELF_TEXT_ADDR);
	ck_assert_uint_eq(extent.base + extent.size, ELF_DATA_ADDR + ELF_DATA_MEMORY);

	ck_assert(elf_has_code(&elf, ELF_TEXT_ADDR));
	ck_assert(elf_has_code(&elf, ELF_TEXT_ADDR + ELF_TEXT_SIZE - 1));
	ck_assert(!elf_has_code(&elf, ELF_TEXT_ADDR + ELF_TEXT_SIZE));
	ck_assert(!elf_has_code(&elf, ELF_TEXT_ADDR - 1));
	ck_assert(!elf_has_code(&elf, ELF_DATA_ADDR + ELF_DATA_SIZE)); /* zeroes */

	file.ehdr.e_type = ET_DYN;
	assert_accepted(&file, &elf);
}
END_TEST

START_TEST(names_other_machines)
{
	static const struct {
		uint16_t machine;
		uint8_t data;
		const char *name;
	} cases[] = {
		{EM_AARCH64, ELFDATA2LSB, "aarch64"}, {EM_RISCV, ELFDATA2LSB, "riscv"},
		{EM_386, ELFDATA2LSB, "i386"},	      {EM_PPC64, ELFDATA2MSB, "powerpc64"},
		{EM_S390, ELFDATA2MSB, "s390"},	      {258, ELFDATA2LSB, "loongarch"},
		{4711, ELFDATA2LSB, "4711"},
	};
	struct test_elf file;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t machine = cases[i].machine;

		test_elf_init(&file);
		file.ehdr.e_ident[EI_DATA] = cases[i].data;
		file.ehdr.e_machine = cases[i].data == ELFDATA2MSB ? __builtin_bswap16(machine)
								   : machine;
		assert_refused(&file, -ENOEXEC, cases[i].name);
		/* A 32-bit header is shorter. */
		file.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
		assert_refused_bytes(&file, sizeof(Elf32_Ehdr), -ENOEXEC, cases[i].name);
	}
	test_elf_init(&file);
	file.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused(&file, -ENOEXEC, "not a 64-bit");
	test_elf_init(&file);
	file.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	file.ehdr.e_machine = __builtin_bswap16(EM_X86_64);
	assert_refused(&file, -ENOEXEC, "not a 64-bit little-endian");
}
END_TEST

START_TEST(refuses_what_is_no_kernel)
{
	struct test_elf file;

	test_elf_init(&file);
	file.ehdr.e_type = ET_REL;
	assert_refused(&file, -ENOEXEC, "module");
	file.ehdr.e_type = ET_CORE;
	assert_refused(&file, -ENOEXEC, "type 4");
	test_elf_init(&file);
	file.note.p_type = PT_INTERP;
	assert_refused(&file, -ENOEXEC, "program for Linux");
	test_elf_init(&file);
	file.text.p_type = file.data.p_type = PT_NULL;
	assert_refused(&file, -ENOEXEC, "nothing to load");
	test_elf_init(&file);
	file.ehdr.e_phnum = 0;
	assert_refused(&file, -ENOEXEC, "without program headers");
}
END_TEST

START_TEST(refuses_damaged_headers)
{
	struct test_elf file;

	test_elf_init(&file);
	assert_refused_bytes(&file, 4, -ENODATA, "the ELF header");
	assert_refused_bytes(&file, 63, -ENODATA,
			     "the ELF header ends at byte 64, the file has 63");
	assert_refused_bytes(&file, 64 + 56, -ENODATA, "the program header table");
	file.ehdr.e_phentsize = 55;
	assert_refused(&file, -ENOEXEC, "3 program headers of 55 bytes");
	test_elf_init(&file);
	file.ehdr.e_phnum = ELF_MAX_PROGRAM_HEADERS + 1;
	assert_refused(&file, -ENOEXEC, "65 program headers");
	file.ehdr.e_phnum = ELF_MAX_PROGRAM_HEADERS;
	assert_refused(&file, -ENODATA, "the program header table");
	test_elf_init(&file);
	file.ehdr.e_phoff = UINT64_MAX - 10;
	assert_refused(&file, -ENODATA, "the program header table");
}
END_TEST

START_TEST(refuses_damaged_segments)
{
	struct test_elf file;
	struct elf elf;

	test_elf_init(&file);
	assert_refused_bytes(&file, sizeof(file) - 1, -ENODATA, "a segment");
	file.text.p_offset = UINT64_MAX;
	assert_refused(&file, -ENODATA, "a segment");
	test_elf_init(&file);
	file.text.p_filesz = file.text.p_memsz = UINT64_MAX - ELF_TEXT_ADDR;
	assert_refused(&file, -ENODATA, "a segment");
	test_elf_init(&file);
	file.text.p_memsz--;
	assert_refused(&file, -ENOEXEC, "768 bytes in the file and only 767 in memory");
	file.text.p_memsz = 0;
	assert_refused(&file, -ENOEXEC, "only 0 in memory");
	test_elf_init(&file);
	file.data.p_memsz = UINT64_MAX - ELF_DATA_ADDR + 1;
	assert_refused(&file, -ENOEXEC, "wraps around");

	/* Overlaps: a byte at the end of one, one inside the other, the same. */
	test_elf_init(&file);
	file.text.p_memsz = ELF_DATA_ADDR - ELF_TEXT_ADDR + 1;
	assert_refused(&file, -ENOEXEC, "0x200000 and 0x203000 overlap");
	file.text.p_memsz--;
	assert_accepted(&file, &elf);
	file.data.p_paddr = ELF_TEXT_ADDR + 1;
	assert_refused(&file, -ENOEXEC, "overlap");
	file.data.p_paddr = ELF_TEXT_ADDR;
	assert_refused(&file, -ENOEXEC, "overlap");
	file.data.p_paddr = ELF_TEXT_ADDR - ELF_DATA_MEMORY + 1;
	assert_refused(&file, -ENOEXEC, "overlap");
	file.data.p_paddr--;
	assert_accepted(&file, &elf);
	file.data.p_paddr = ELF_TEXT_ADDR + 1;
	file.data.p_memsz = file.data.p_filesz = 0;
	assert_accepted(&file, &elf);
	ck_assert_uint_eq(elf.n_segments, 1);
}
END_TEST

START_TEST(finds_the_pvh_note)
{
	struct test_elf file;
	struct elf elf;

	/* Four bytes of address, as 32-bit tools write it. */
	test_elf_init(&file);
	file.notes[1].header.n_descsz = 4;
	file.note.p_filesz -= 4;
	assert_accepted(&file, &elf);
	ck_assert(elf.has_pvh_entry);
	ck_assert_uint_eq(elf.pvh_entry, ELF_PVH_ENTRY);

	/* The first one counts. */
	memcpy(file.notes[0].name, "Xen", 4);
	assert_accepted(&file, &elf);
	ck_assert_uint_eq(elf.pvh_entry, 0xdead);

	/* Another name, another type, no note. */
	test_elf_init(&file);
	memcpy(file.notes[1].name, "xen", 4);
	assert_accepted(&file, &elf);
	ck_assert(!elf.has_pvh_entry);
	memcpy(file.notes[1].name, "Xen", 4);
	file.notes[1].header.n_namesz = 3;
	assert_accepted(&file, &elf);
	ck_assert(!elf.has_pvh_entry);
	test_elf_init(&file);
	file.notes[1].header.n_type = 17;
	assert_accepted(&file, &elf);
	ck_assert(!elf.has_pvh_entry);
	test_elf_init(&file);
	file.note.p_filesz = sizeof(struct test_note);
	assert_accepted(&file, &elf);
	ck_assert(!elf.has_pvh_entry);
	file.note.p_filesz = 0;
	assert_accepted(&file, &elf);
	ck_assert(!elf.has_pvh_entry);
}
END_TEST

START_TEST(aligns_notes)
{
	/* First a note of 12 + 4 + 9 bytes: the next one starts at 28, or 32 if aligned to 8. */
	const Elf64_Nhdr first = {.n_namesz = 4, .n_descsz = 9, .n_type = 1};
	const struct test_note pvh = {{4, 8, 18}, "Xen", ELF_PVH_ENTRY};
	struct test_elf file;
	struct elf elf;

	test_elf_init(&file);
	memset(file.text_bytes, 0, sizeof(file.text_bytes));
	memcpy(file.text_bytes, &first, sizeof(first));
	memcpy(file.text_bytes + 28, &pvh, sizeof(pvh));
	file.note.p_offset = offsetof(struct test_elf, text_bytes);
	file.note.p_filesz = 28 + sizeof(pvh);
	assert_accepted(&file, &elf);
	ck_assert_uint_eq(elf.pvh_entry, ELF_PVH_ENTRY);
	file.note.p_align = 8;
	assert_refused(&file, -ENOEXEC, "after its segment");

	memcpy(file.text_bytes + 32, &pvh, sizeof(pvh));
	file.note.p_filesz = 32 + sizeof(pvh);
	assert_accepted(&file, &elf);
	ck_assert_uint_eq(elf.pvh_entry, ELF_PVH_ENTRY);
}
END_TEST

START_TEST(refuses_damaged_notes)
{
	struct test_elf file;
	struct elf elf;

	test_elf_init(&file);
	file.note.p_offset = sizeof(file) - 10;
	assert_refused(&file, -ENODATA, "a segment of notes");
	test_elf_init(&file);
	file.note.p_filesz = ELF_MAX_NOTES + 1;
	assert_refused(&file, -ENOEXEC, "65537 bytes of notes");
	file.note.p_filesz = UINT64_MAX;
	assert_refused(&file, -ENOEXEC, "bytes of notes");
	test_elf_init(&file);
	file.notes[1].header.n_descsz = 9;
	assert_refused(&file, -ENOEXEC, "1 bytes after its segment");
	file.notes[1].header.n_descsz = UINT32_MAX;
	assert_refused(&file, -ENOEXEC, "after its segment");
	test_elf_init(&file);
	file.notes[0].header.n_namesz = UINT32_MAX;
	assert_refused(&file, -ENOEXEC, "after its segment");
	file.notes[0].header.n_descsz = UINT32_MAX;
	assert_refused(&file, -ENOEXEC, "after its segment");
	test_elf_init(&file);
	file.notes[1].header.n_descsz = 5;
	assert_refused(&file, -ENOEXEC, "holds 5 bytes");
	file.notes[1].header.n_descsz = 0;
	assert_refused(&file, -ENOEXEC, "holds 0 bytes");

	/* Less than a header's worth at the end is padding. */
	test_elf_init(&file);
	file.note.p_filesz = sizeof(struct test_note) + 11;
	assert_accepted(&file, &elf);
}
END_TEST

START_TEST(loads_segments)
{
	struct guest_memory mem = test_memory(32 * MIB);
	uint8_t *text = memory_translate(&mem, gpa(ELF_TEXT_ADDR), 0x10000);
	uint8_t *data = text + (ELF_DATA_ADDR - ELF_TEXT_ADDR);
	struct memory_range extent;
	struct test_elf file;
	struct test_file f;
	struct image image;
	struct elf elf;

	test_elf_init(&file);
	f = test_file_make(&file, sizeof(file));
	ck_assert_int_eq(image_open(&image, f.path, NULL), 0);
	ck_assert_int_eq(elf_open(&elf, &image, &extent, NULL), 0);
	ck_assert_int_eq(elf_load(&elf, &image, &mem, NULL), 0);
	ck_assert_mem_eq(text, file.text_bytes, ELF_TEXT_SIZE);
	ck_assert_uint_eq(text[ELF_TEXT_SIZE], 0);
	ck_assert_mem_eq(data, file.data_bytes, ELF_DATA_SIZE);
	for (size_t i = ELF_DATA_SIZE; i < ELF_DATA_MEMORY; i++)
		ck_assert_uint_eq(data[i], 0);
	image_close(&image);
	memory_destroy(&mem);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot/elf");
	TCase *tc = tcase_create("elf");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, reads_headers);
	tcase_add_test(tc, names_other_machines);
	tcase_add_test(tc, refuses_what_is_no_kernel);
	tcase_add_test(tc, refuses_damaged_headers);
	tcase_add_test(tc, refuses_damaged_segments);
	tcase_add_test(tc, finds_the_pvh_note);
	tcase_add_test(tc, aligns_notes);
	tcase_add_test(tc, refuses_damaged_notes);
	tcase_add_test(tc, loads_segments);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
