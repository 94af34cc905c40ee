/* SPDX-License-Identifier: Apache-2.0 */
/* boot/boot.c with all that is under it: from files to what the guest finds in its memory. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "arch/x86_64/layout.h"
#include "boot/boot.h"
#include "boot/x86_64/pvh.h"
#include "tests/unit/x86_64/kernel_files.h"
#include "vmm/core/memory_fill.h"

#define KERNEL_END (BZIMAGE_PREF + BZIMAGE_INIT_SIZE)

static struct error err;
static struct boot_config config;
static struct boot_image *image;
static struct guest_memory mem;
static struct arch_entry entry;
static const struct arch_platform platform = {.cpus = 1};

static void set_up(void)
{
	mem = test_memory(64 * MIB);
}

static void tear_down(void)
{
	boot_close(image);
	memory_destroy(&mem);
}

static void resize_memory(uint64_t size)
{
	memory_destroy(&mem);
	mem = test_memory(size);
}

static int open_kernel(const void *bytes, size_t len)
{
	static struct test_file file;

	file = test_file_make(bytes, len);
	config.kernel = file.path;
	return boot_open(&config, &image, &err);
}

static void load(void)
{
	ck_assert_msg(boot_load(image, &mem, &err) == 0, "%s", err.text);
	ck_assert_msg(boot_hand_over(image, &mem, &platform, &entry, &err) == 0, "%s", err.text);
}

static void open_and_load_bzimage(void)
{
	union test_bzimage bz;

	test_bzimage_init(&bz);
	ck_assert_msg(open_kernel(&bz, sizeof(bz)) == 0, "%s", err.text);
	load();
}

/* --- what the guest gets --- */

static const struct boot_params *zero_page(void)
{
	ck_assert_int_eq(entry.protocol, BOOT_PROTOCOL_LINUX64);
	ck_assert_uint_eq(entry.params.value, LAYOUT_ZERO_PAGE);
	return memory_translate(&mem, entry.params, sizeof(struct boot_params));
}

static const char *string_at(uint64_t addr)
{
	return memory_translate(&mem, gpa(addr), 1);
}

static void assert_e820(const struct boot_params *params)
{
	ck_assert_uint_eq(params->e820_entries, 4);
	ck_assert_uint_eq(params->e820_table[0].addr, 0);
	ck_assert_uint_eq(params->e820_table[0].size, LAYOUT_LOW_RAM_END);
	ck_assert_uint_eq(params->e820_table[0].type, 1);
	ck_assert_uint_eq(params->e820_table[1].addr, LAYOUT_TABLES);
	ck_assert_uint_eq(params->e820_table[1].type, 2);
	ck_assert_uint_eq(params->e820_table[2].addr, LAYOUT_HIGH_RAM);
	ck_assert_uint_eq(params->e820_table[2].size, 63 * MIB);
	ck_assert_uint_eq(params->e820_table[2].type, 1);
}

START_TEST(bzimage_by_linux64)
{
	const struct boot_params *params;
	union test_bzimage bz;

	config.cmdline = "console=ttyS0 quiet";
	open_and_load_bzimage();
	ck_assert_uint_eq(entry.entry.value, BZIMAGE_PREF + 0x200);
	params = zero_page();
	test_bzimage_init(&bz);
	ck_assert_uint_eq(params->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(params->hdr.version, 0x020f);
	ck_assert_uint_eq(params->hdr.init_size, BZIMAGE_INIT_SIZE);
	ck_assert_uint_eq(params->hdr.kernel_alignment, bz.header.kernel_alignment);
	ck_assert_str_eq(string_at(params->hdr.cmd_line_ptr), "console=ttyS0 quiet");
	ck_assert_uint_eq(params->hdr.ramdisk_image, 0);
	ck_assert_uint_eq(params->hdr.ramdisk_size, 0);
	ck_assert_uint_eq(params->acpi_rsdp_addr, LAYOUT_TABLES);
	ck_assert_uint_eq(params->sentinel, 0);
	assert_e820(params);
	ck_assert_mem_eq(memory_translate(&mem, gpa(BZIMAGE_PREF), BZIMAGE_PAYLOAD),
			 bz.bytes + BZIMAGE_SETUP, BZIMAGE_PAYLOAD);
}
END_TEST

START_TEST(no_cmdline_is_an_empty_one)
{
	open_and_load_bzimage();
	ck_assert_uint_eq(zero_page()->hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	ck_assert_str_eq(string_at(LAYOUT_CMDLINE), "");
}
END_TEST

START_TEST(elf_by_linux64)
{
	const struct boot_params *params;
	struct test_elf elf;

	test_elf_init(&elf);
	config.cmdline = "x";
	config.protocol = BOOT_PROTOCOL_LINUX64;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	load();
	ck_assert_uint_eq(entry.entry.value, ELF_ENTRY);
	params = zero_page();
	ck_assert_uint_eq(params->hdr.boot_flag, 0xaa55);
	ck_assert_mem_eq(&params->hdr.header, "HdrS", 4);
	ck_assert_uint_ge(params->hdr.version, 0x0200);
	ck_assert_uint_eq(params->hdr.type_of_loader, 0xff);
	ck_assert_str_eq(string_at(params->hdr.cmd_line_ptr), "x");
	ck_assert_uint_eq(params->acpi_rsdp_addr, LAYOUT_TABLES);
	assert_e820(params);
}
END_TEST

START_TEST(elf_by_pvh)
{
	static char initrd_bytes[5000] = "initrd";
	struct test_file initrd = test_file_make(initrd_bytes, sizeof(initrd_bytes));
	const struct pvh_start_info *info;
	const struct pvh_module *module;
	const struct pvh_memory *map;
	struct test_elf elf;

	test_elf_init(&elf);
	config.cmdline = "pvh";
	config.initrd = initrd.path;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	load();
	ck_assert_int_eq(entry.protocol, BOOT_PROTOCOL_PVH);
	ck_assert_uint_eq(entry.entry.value, ELF_PVH_ENTRY);
	ck_assert_uint_eq(entry.params.value, LAYOUT_PVH_START_INFO);
	info = memory_translate(&mem, entry.params, sizeof(*info));
	ck_assert_uint_eq(info->magic, 0x336ec578);
	ck_assert_uint_eq(info->version, 1);
	ck_assert_uint_eq(info->flags, 0);
	ck_assert_str_eq(string_at(info->cmdline), "pvh");
	ck_assert_uint_eq(info->rsdp, LAYOUT_TABLES);
	ck_assert_uint_eq(info->n_modules, 1);
	module = memory_translate(&mem, gpa(info->modules), sizeof(*module));
	ck_assert_uint_eq(module->size, sizeof(initrd_bytes));
	ck_assert_uint_eq(module->base, 64 * MIB - 8192);
	ck_assert_uint_eq(module->cmdline, 0);
	ck_assert_str_eq(memory_translate(&mem, gpa(module->base), module->size), "initrd");
	ck_assert_uint_eq(info->memory_map_entries, 4);
	map = memory_translate(&mem, gpa(info->memory_map), 4 * sizeof(*map));
	ck_assert_uint_eq(map[0].size, LAYOUT_LOW_RAM_END);
	ck_assert_uint_eq(map[0].type, 1);
	ck_assert_uint_eq(map[1].base, LAYOUT_TABLES);
	ck_assert_uint_eq(map[1].type, 2);
	ck_assert_uint_eq(map[2].base, LAYOUT_HIGH_RAM);
	ck_assert_uint_eq(map[2].size, 63 * MIB);
	ck_assert_uint_eq(map[2].reserved, 0);

	/* All of it in the page that the layout gives it. */
	ck_assert_uint_ge(info->modules, LAYOUT_PVH_START_INFO + sizeof(*info));
	ck_assert_uint_le(info->memory_map + 4 * sizeof(*map), LAYOUT_PVH_START_INFO + 4096);
}
END_TEST

START_TEST(pvh_without_initrd)
{
	const struct pvh_start_info *info;
	struct test_elf elf;

	test_elf_init(&elf);
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	load();
	info = memory_translate(&mem, entry.params, sizeof(*info));
	ck_assert_uint_eq(info->n_modules, 0);
	ck_assert_uint_eq(info->modules, 0);
}
END_TEST

START_TEST(elf_without_note_by_linux64)
{
	struct test_elf elf;

	test_elf_init(&elf);
	elf.note.p_type = PT_NULL;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	load();
	ck_assert_int_eq(entry.protocol, BOOT_PROTOCOL_LINUX64);
	ck_assert_uint_eq(entry.entry.value, ELF_ENTRY);
}
END_TEST

/* --- protocols and entries that the file doesn't have --- */

START_TEST(refuses_protocol_that_is_not_there)
{
	union test_bzimage bz;
	struct test_elf elf;

	config.protocol = BOOT_PROTOCOL_PVH;
	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "no PVH entry");
	test_elf_init(&elf);
	elf.note.p_type = PT_NULL;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "CONFIG_PVH");
	ck_assert(!err.usage);
	ck_assert_ptr_null(image);
}
END_TEST

START_TEST(refuses_entry_outside)
{
	struct test_elf elf;

	test_elf_init(&elf);
	elf.notes[1].desc = ELF_TEXT_ADDR + ELF_TEXT_SIZE;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "entry, 0x200300, is in none of its segments");

	/* Only the entry that is used matters. */
	config.protocol = BOOT_PROTOCOL_LINUX64;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	boot_close(image);
	image = NULL;
	elf.ehdr.e_entry = 0;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -ENOEXEC);
	assert_error(err, -ENOEXEC, "entry, 0x0,");
}
END_TEST

/* --- where a kernel may be --- */

START_TEST(refuses_kernel_outside_of_its_place)
{
	static const uint64_t bad[] = {0,	    0x7000,	     LAYOUT_HIGH_RAM - 1,
				       LAYOUT_HOLE, LAYOUT_HOLE_END, UINT64_MAX - 0xfff};
	union test_bzimage bz;
	struct test_elf elf;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		test_bzimage_init(&bz);
		bz.header.pref_address = bad[i];
		ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), -ENOEXEC);
		assert_error(err, -ENOEXEC, "kernels go from 0x100000 to 0xc0000000");
		test_elf_init(&elf);
		elf.data.p_paddr = bad[i];
		elf.data.p_memsz = 0x800;
		elf.data.p_filesz = 0;
		ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -ENOEXEC);
		assert_error(err, -ENOEXEC, "kernels go from");
	}
	test_elf_init(&elf);
	elf.data.p_memsz = LAYOUT_HOLE - ELF_DATA_ADDR + 1;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -ENOEXEC);
	elf.data.p_memsz--;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
}
END_TEST

START_TEST(says_how_much_memory_a_kernel_takes)
{
	union test_bzimage bz;
	struct test_elf elf;

	test_bzimage_init(&bz);
	bz.header.init_size = 48 * MIB + 1;
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENOMEM);
	assert_error(err, -ENOMEM, "try: --memory 65M");
	resize_memory(65 * MIB);
	load();
	boot_close(image);

	resize_memory(64 * MIB);
	test_elf_init(&elf);
	elf.data.p_memsz = 70 * MIB - ELF_DATA_ADDR;
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENOMEM);
	assert_error(err, -ENOMEM, "try: --memory 70M");
	resize_memory(70 * MIB);
	load();
}
END_TEST

START_TEST(tells_a_kernel_that_was_cut)
{
	union test_bzimage bz;

	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(truncate(config.kernel, sizeof(bz) - 1), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENODATA);
	assert_error(err, -ENODATA, "became shorter");
	ck_assert_ptr_nonnull(strstr(err.text, config.kernel));
}
END_TEST

/* --- initrd --- */

static void use_initrd(uint64_t size)
{
	static struct test_file file;

	file = test_file_make("initrd", 6);
	ck_assert_int_eq(ftruncate(file.fd, (off_t)size), 0);
	config.initrd = file.path;
}

START_TEST(initrd_goes_as_high_as_it_can)
{
	const struct boot_params *params;

	use_initrd(4097);
	open_and_load_bzimage();
	params = zero_page();
	ck_assert_uint_eq(params->hdr.ramdisk_image, 64 * MIB - 8192);
	ck_assert_uint_eq(params->hdr.ramdisk_size, 4097);
	ck_assert_str_eq(string_at(params->hdr.ramdisk_image), "initrd");
}
END_TEST

START_TEST(initrd_keeps_below_the_kernels_limit)
{
	union test_bzimage bz;

	use_initrd(4096);
	test_bzimage_init(&bz);
	bz.header.initrd_addr_max = 32 * MIB - 2; /* the last byte of a page is not in it */
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, 32 * MIB - 8192);
	boot_close(image);

	bz.header.initrd_addr_max = 32 * MIB - 1;
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, 32 * MIB - 4096);
	boot_close(image);

	bz.header.initrd_addr_max = UINT32_MAX;
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, 64 * MIB - 4096);
}
END_TEST

START_TEST(initrd_fills_all_room)
{
	use_initrd(64 * MIB - KERNEL_END);
	open_and_load_bzimage();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, KERNEL_END);
}
END_TEST

START_TEST(initrd_goes_below_a_kernel_that_fills_memory)
{
	union test_bzimage bz;

	test_bzimage_init(&bz);
	bz.header.init_size = 48 * MIB - 8192;
	use_initrd(8193);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, BZIMAGE_PREF - 3 * 4096);
	ck_assert_str_eq(string_at(zero_page()->hdr.ramdisk_image), "initrd");
	boot_close(image);

	/* Down to 1 MiB, no further. */
	use_initrd(15 * MIB);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, LAYOUT_HIGH_RAM);
	boot_close(image);
	use_initrd(15 * MIB + 1);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENOMEM);
	assert_error(err, -ENOMEM, "try: --memory 79M");
	boot_close(image);

	/* As low as the kernel wants it. */
	bz.header.initrd_addr_max = 8 * MIB - 1;
	use_initrd(4096);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, 8 * MIB - 4096);
}
END_TEST

/* Large enough for a thread, or not. */
static void open_with_initrd_of(uint64_t size)
{
	union test_bzimage bz;

	use_initrd(size);
	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
}

START_TEST(loads_early)
{
	const uint64_t size = _i ? 5 * MIB : 4096;
	uint64_t place;

	open_with_initrd_of(size);
	boot_load_early(image, &mem);
	load();
	place = zero_page()->hdr.ramdisk_image;
	ck_assert_uint_eq(place, 64 * MIB - size);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_size, size);
	ck_assert_str_eq(string_at(place), "initrd");
}
END_TEST

START_TEST(tells_later_what_went_wrong_early)
{
	open_with_initrd_of(63 * MIB);
	boot_load_early(image, &mem);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENOMEM);
	assert_error(err, -ENOMEM, "initrd /");
	assert_error(err, -ENOMEM, "try: --memory");
	boot_close(image);

	open_with_initrd_of(5 * MIB);
	ck_assert_int_eq(truncate(config.initrd, 4096), 0);
	boot_load_early(image, &mem);
	ck_assert_int_eq(boot_load(image, &mem, NULL), -ENODATA);
}
END_TEST

static void ignore_end(void *opaque, const struct error *error)
{
	(void)opaque;
	ck_assert_ptr_null(error);
}

/* Nothing else is touched of what isn't there yet, or this would wait for ever. */
START_TEST(loads_later)
{
	static const struct memory_fill_config fill_config = {.ended = ignore_end};
	struct memory_fill *fill;
	union test_bzimage bz;
	uint64_t place;
	int ret;

	open_with_initrd_of(4096);
	ck_assert(!boot_can_load_later(image));
	boot_close(image);
	open_with_initrd_of(5 * MIB);
	ck_assert(boot_can_load_later(image));
	ret = memory_fill_create(&mem, &fill);
	if (ret) {
		printf("SKIP loads_later: /dev/userfaultfd: %s\n", strerror(-ret));
		return;
	}
	boot_load_later(image, fill);
	load();
	boot_close(image);
	image = NULL;
	ck_assert_int_eq(memory_fill_start(fill, &fill_config), 0);
	place = zero_page()->hdr.ramdisk_image;
	ck_assert_str_eq(string_at(place), "initrd");
	test_bzimage_init(&bz);
	ck_assert_mem_eq(string_at(BZIMAGE_PREF), bz.bytes + BZIMAGE_SETUP,
			 sizeof(bz) - BZIMAGE_SETUP);
	memory_fill_destroy(fill);
}
END_TEST

/* As where the VM can't be made. */
START_TEST(is_closed_while_it_loads)
{
	resize_memory(512 * MIB);
	open_with_initrd_of(400 * MIB);
	boot_load_early(image, &mem);
}
END_TEST

START_TEST(says_how_much_memory_an_initrd_takes)
{
	union test_bzimage bz;

	use_initrd(64 * MIB - KERNEL_END + 1);
	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -ENOMEM);
	assert_error(err, -ENOMEM, "48234497 bytes");
	assert_error(err, -ENOMEM, "try: --memory 65M");
	resize_memory(65 * MIB);
	load();
	boot_close(image);

	/* No amount of memory helps. */
	resize_memory(64 * MIB);
	bz.header.initrd_addr_max = 32 * MIB - 1;
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -EFBIG);
	assert_error(err, -EFBIG, "0x2000000");
	boot_close(image);
	bz.header.initrd_addr_max = 0;
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -EFBIG);
	assert_error(err, -EFBIG, "at most 0 below 0x0");
	boot_close(image);

	use_initrd(1ULL << 62);
	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	ck_assert_int_eq(boot_load(image, &mem, &err), -EFBIG);
}
END_TEST

START_TEST(tells_which_initrd_is_missing)
{
	union test_bzimage bz;

	test_bzimage_init(&bz);
	config.initrd = "/nowhere/initrd";
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), -ENOENT);
	ck_assert_str_eq(err.text, "initrd /nowhere/initrd: No such file or directory: "
				   "there is no directory /nowhere");
}
END_TEST

/* --- command line --- */

START_TEST(refuses_long_cmdline)
{
	static char text[LAYOUT_CMDLINE_MAX + 1];
	union test_bzimage bz;
	struct test_elf elf;

	config.cmdline = text;
	memset(text, 'x', BZIMAGE_CMDLINE_MAX);
	open_and_load_bzimage();
	ck_assert_str_eq(string_at(zero_page()->hdr.cmd_line_ptr), text);
	boot_close(image);

	text[BZIMAGE_CMDLINE_MAX] = 'x';
	test_bzimage_init(&bz);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), -E2BIG);
	assert_error(err, -E2BIG, "2048 bytes, this kernel takes at most 2047");

	/* A kernel that takes any gets what the layout has room for. */
	bz.header.cmdline_size = UINT32_MAX;
	memset(text, 'x', LAYOUT_CMDLINE_MAX - 1);
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), 0);
	load();
	ck_assert_str_eq(string_at(LAYOUT_CMDLINE), text);
	boot_close(image);
	text[LAYOUT_CMDLINE_MAX - 1] = 'x';
	ck_assert_int_eq(open_kernel(&bz, sizeof(bz)), -E2BIG);
	test_elf_init(&elf);
	ck_assert_int_eq(open_kernel(&elf, sizeof(elf)), -E2BIG);
	assert_error(err, -E2BIG, "at most 65535");
}
END_TEST

/* --- files that are no kernel --- */

START_TEST(names_strangers)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		const char *part;
	} cases[] = {
		{0, "\x1f\x8b\x08", 3, "gzip; unpack it first: gunzip -c FILE > vmlinux"},
		{0, "\xfd\x37zXZ\0", 6, "with xz;"},
		{0, "BZh9", 4, "with bzip2;"},
		{0, "\x28\xb5\x2f\xfd", 4, "with zstd;"},
		{0, "\x5d\0\0\x80", 4, "with lzma;"},
		{0, "\x04\x22\x4d\x18", 4, "with lz4;"},
		{0, "\x02\x21\x4c\x18", 4, "with lz4;"},
		{0, "\x89LZO\0\r\n\x1a\n", 9, "with lzo;"},
		{56, "ARM\x64", 4, "arm64"},
		{56, "RSC\x05", 4, "riscv"},
		{36, "\x18\x28\x6f\x01", 4, "32-bit arm"},
		{0, "MZ\0\0zimg", 8, "EFI firmware"},
		{0, "MZ", 2, "PE (EFI) program"},
		{0, "\x27\x05\x19\x56", 4, "U-Boot"},
		{0, "070701", 6, "cpio"},
		{0, "\1\2\3\4", 4, "of no known kind"},
	};
	uint8_t bytes[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes + cases[i].offset, cases[i].bytes, cases[i].len);
		ck_assert_int_eq(open_kernel(bytes, sizeof(bytes)), -ENOEXEC);
		assert_error(err, -ENOEXEC, cases[i].part);
		ck_assert(!err.usage);

		/* As short as can be. */
		ck_assert_int_eq(open_kernel(bytes, cases[i].offset + cases[i].len), -ENOEXEC);
		assert_error(err, -ENOEXEC, cases[i].part);
	}
	ck_assert_int_eq(open_kernel("#!/bin/sh\necho\t1\n", 17), -ENOEXEC);
	assert_error(err, -ENOEXEC, "it is text, neither a bzImage nor an ELF file");
	ck_assert_int_eq(open_kernel("", 0), -EINVAL);
	assert_error(err, -EINVAL, "empty");
}
END_TEST

START_TEST(long_path_hides_no_cause)
{
	static char path[4000] = "/";

	memset(path + 1, 'x', sizeof(path) - 2);
	for (size_t i = 200; i < sizeof(path) - 1; i += 200)
		path[i] = '/';
	config.kernel = path;
	ck_assert_int_eq(boot_open(&config, &image, &err), -ENOENT);
	assert_error(err, -ENOENT, "No such file");
	ck_assert_ptr_null(image);
}
END_TEST

START_TEST(needs_no_error)
{
	union test_bzimage bz;
	struct test_file file;

	config.kernel = "/nowhere";
	ck_assert_int_eq(boot_open(&config, &image, NULL), -ENOENT);
	boot_close(NULL);
	test_bzimage_init(&bz);
	bz.header.init_size = 64 * MIB;
	file = test_file_make(&bz, sizeof(bz));
	config.kernel = file.path;
	ck_assert_int_eq(boot_open(&config, &image, NULL), 0);
	ck_assert_int_eq(boot_load(image, &mem, NULL), -ENOMEM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot");
	TCase *tc = tcase_create("load");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, bzimage_by_linux64);
	tcase_add_test(tc, no_cmdline_is_an_empty_one);
	tcase_add_test(tc, elf_by_linux64);
	tcase_add_test(tc, elf_by_pvh);
	tcase_add_test(tc, pvh_without_initrd);
	tcase_add_test(tc, elf_without_note_by_linux64);
	tcase_add_test(tc, refuses_protocol_that_is_not_there);
	tcase_add_test(tc, refuses_entry_outside);
	tcase_add_test(tc, refuses_kernel_outside_of_its_place);
	tcase_add_test(tc, says_how_much_memory_a_kernel_takes);
	tcase_add_test(tc, tells_a_kernel_that_was_cut);
	tcase_add_test(tc, initrd_goes_as_high_as_it_can);
	tcase_add_test(tc, initrd_keeps_below_the_kernels_limit);
	tcase_add_test(tc, initrd_fills_all_room);
	tcase_add_test(tc, initrd_goes_below_a_kernel_that_fills_memory);
	tcase_add_test(tc, says_how_much_memory_an_initrd_takes);
	tcase_add_loop_test(tc, loads_early, 0, 2);
	tcase_add_test(tc, tells_later_what_went_wrong_early);
	tcase_add_test(tc, loads_later);
	tcase_add_test(tc, is_closed_while_it_loads);
	tcase_add_test(tc, tells_which_initrd_is_missing);
	tcase_add_test(tc, refuses_long_cmdline);
	tcase_add_test(tc, names_strangers);
	tcase_add_test(tc, long_path_hides_no_cause);
	tcase_add_test(tc, needs_no_error);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
