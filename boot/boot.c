/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/boot.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "boot/image.h"
#include "boot/kernel.h"
#include "vmm/core/error.h"
#include "vmm/core/thread.h"

#define PAGE_SIZE 4096ULL
#define MIB	  (1ULL << 20)

enum {
	HEAD_SIZE = 1024, /* what tells the formats apart lies in a file's first bytes */
	LARGE = 4 << 20,  /* bytes to load, which take longer than a thread */
};

struct boot_image {
	const struct boot_config *config;
	struct kernel kernel;
	struct image initrd; /* fd -1: none */
	size_t cmdline_len;  /* without the final NUL */

	struct memory_range initrd_place; /* where it was loaded to */
	struct early {
		const struct guest_memory *mem;
		bool runs; /* or ran: the thread, which nobody has waited for */
		pthread_t thread;
		atomic_bool cancelled;
		/* Its own, until it has ended. */
		int ret;
		struct error err;
	} early;
};

/* --- files that are no kernel --- */

/* How files begin that are given for a kernel. The first match counts. */
struct stranger {
	size_t offset;
	size_t len;
	const char *bytes;
	const char *name;
	const char *unpack; /* the command that does, if the name is that of a compression */
	bool machine;	    /* the name is that of a machine */
};

static const struct stranger strangers[] = {
	{0, 2, "\x1f\x8b", "gzip", "gunzip -c", false},
	{0, 6, "\xfd\x37zXZ\0", "xz", "unxz -c", false},
	{0, 3, "BZh", "bzip2", "bunzip2 -c", false},
	{0, 4, "\x28\xb5\x2f\xfd", "zstd", "zstd -dc", false},
	{0, 4, "\x04\x22\x4d\x18", "lz4", "lz4 -dc", false},
	{0, 4, "\x02\x21\x4c\x18", "lz4", "lz4 -dc", false},
	{0, 4, "\x89LZO", "lzo", "lzop -dc", false},
	{0, 3, "\x5d\0\0", "lzma", "unlzma -c", false},
	{56, 4, "ARM\x64", "arm64", NULL, true},
	{56, 4, "RSC\x05", "riscv", NULL, true},
	{36, 4, "\x18\x28\x6f\x01", "32-bit arm", NULL, true},
	{0x202, 4, "HdrS", "x86-64", NULL, true},
	{4, 4, "zimg", "a compressed EFI kernel, which only EFI firmware can unpack", NULL, false},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot image (uImage); give the kernel that is in it", NULL,
	 false},
	{0, 4,
	 "\x7f"
	 "ELF",
	 "an ELF file (a vmlinux?)", NULL, false},
	{0, 5, "07070", "a cpio archive, as initrds are", NULL, false},
	{0, 2, "MZ",
	 "a PE (EFI) program without Linux's setup header; if it is a unified kernel image, try: "
	 "objcopy -O binary -j .linux FILE vmlinuz",
	 NULL, false},
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
		if (stranger->machine && strcmp(stranger->name, boot_arch.machine) == 0)
			continue; /* what is amiss with it must be something else */
		if (stranger->unpack)
			return error_set(err, -ENOEXEC,
					 "it is compressed as a whole with %s; unpack it first: "
					 "%s FILE > vmlinux",
					 stranger->name, stranger->unpack);
		if (stranger->machine)
			return error_set(err, -ENOEXEC,
					 "it is a kernel for %s; xvmm boots %s kernels here",
					 stranger->name, boot_arch.machine);
		return error_set(err, -ENOEXEC, "it is %s", stranger->name);
	}
	return error_set(err, -ENOEXEC, "it is %s, %s",
			 is_text(head, len) ? "text" : "of no known kind", boot_arch.format_names);
}

/* --- opening --- */

static const struct kernel_format *find_format(const uint8_t *head, size_t len)
{
	for (const struct kernel_format *const *format = boot_arch.formats; *format; format++)
		if ((*format)->match(head, len))
			return *format;
	return NULL;
}

static int open_kernel(struct boot_image *image, struct error *err)
{
	const struct memory_range *space = &boot_arch.space;
	const uint64_t end = space->base + space->size;
	struct kernel *kernel = &image->kernel;
	uint8_t head[HEAD_SIZE];
	size_t len = sizeof(head);
	int ret;

	ret = image_open(&kernel->file, image->config->kernel, err);
	if (ret == -ENOENT)
		error_cure(err, "/boot/vmlinuz-$(uname -r), this machine's own");
	if (ret)
		return ret;
	if (kernel->file.size < len)
		len = (size_t)kernel->file.size;
	ret = image_read(&kernel->file, 0, head, len, "the file", err);
	if (ret)
		return ret;
	kernel->format = find_format(head, len);
	if (!kernel->format)
		return explain_stranger(head, len, err);
	ret = kernel->format->open(kernel, err);
	if (ret)
		return ret;
	if (kernel->extent.base < space->base || kernel->extent.base > end ||
	    kernel->extent.size > end - kernel->extent.base)
		return error_set(err, -ENOEXEC,
				 "it wants %llu bytes at 0x%llx; kernels go from 0x%llx to 0x%llx",
				 (unsigned long long)kernel->extent.size,
				 (unsigned long long)kernel->extent.base,
				 (unsigned long long)space->base, (unsigned long long)end);
	return 0;
}

static int check_cmdline(struct boot_image *image, struct error *err)
{
	const size_t max = image->kernel.cmdline_max;

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
		return error_cause(err, -ENOMEM);
	new->config = config;
	new->kernel.file.fd = -1;
	new->kernel.protocol = config->protocol;
	new->kernel.initrd_limit = boot_arch.space.base + boot_arch.space.size;
	new->kernel.cmdline_max = boot_arch.cmdline_max;
	new->initrd.fd = -1;
	ret = open_files(new, err);
	if (ret) {
		boot_close(new);
		return ret;
	}
	new->kernel.file.name = "kernel";
	new->kernel.file.path = config->kernel;
	new->initrd.name = "initrd";
	new->initrd.path = config->initrd;
	new->kernel.file.log = new->initrd.log = config->log;
	new->kernel.file.cancelled = new->initrd.cancelled = &new->early.cancelled;
	*image = new;
	return 0;
}

uint64_t boot_kernel_size(const struct boot_image *image)
{
	return image->kernel.extent.size;
}

/* --- loading --- */

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static uint64_t end_of(const struct memory_range *range)
{
	return range->base + range->size;
}

static int load_kernel(const struct boot_image *image, const struct guest_memory *mem,
		       struct error *err)
{
	const struct memory_range *first = &mem->regions[0].range;
	uint64_t end = end_of(&image->kernel.extent);

	if (end > end_of(first)) {
		end = round_up(end - first->base, MIB) / MIB;
		return error_set(err, -ENOMEM,
				 "it needs the first %llu MiB of memory; try: --memory %lluM or "
				 "more",
				 (unsigned long long)end, (unsigned long long)end);
	}
	return image->kernel.format->load(&image->kernel, mem, err);
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
 * As high as it may be, in whole pages, for Linux frees them. Where memory is so small that nothing
 * is left above the kernel, below it, which Linux keeps off too.
 */
static int load_initrd(struct boot_image *image, const struct guest_memory *mem, struct error *err)
{
	struct memory_range *initrd = &image->initrd_place;
	const struct memory_range *extent = &image->kernel.extent;
	const struct memory_range *first = &mem->regions[0].range;
	uint64_t limit = image->kernel.initrd_limit & ~(PAGE_SIZE - 1);
	uint64_t kernel_end = round_up(end_of(extent), PAGE_SIZE);
	uint64_t kernel_start = min(extent->base & ~(PAGE_SIZE - 1), limit);
	uint64_t top = min(end_of(first), limit);
	uint64_t below = room(boot_arch.space.base, kernel_start);
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
		return error_set(
			err, -ENOMEM,
			"it has %llu bytes, which don't fit into memory beside the "
			"kernel; try: --memory %lluM or more",
			(unsigned long long)image->initrd.size,
			(unsigned long long)(round_up(kernel_end + size - first->base, MIB) / MIB));
	initrd->size = image->initrd.size;
	return image_load(&image->initrd, 0, mem, gpa(initrd->base), initrd->size, err);
}

static int load_files(struct boot_image *image, const struct guest_memory *mem, struct error *err)
{
	const struct boot_config *config = image->config;
	int ret = blame(err, load_kernel(image, mem, err), "kernel", config->kernel);

	return ret ? ret : blame(err, load_initrd(image, mem, err), "initrd", config->initrd);
}

static void *run_early(void *opaque)
{
	struct boot_image *image = opaque;
	struct early *early = &image->early;

	early->ret = load_files(image, early->mem, &early->err);
	return NULL;
}

bool boot_is_large(const struct boot_image *image)
{
	return image->kernel.file.size + image->initrd.size >= LARGE;
}

bool boot_can_load_later(const struct boot_image *image)
{
	return boot_is_large(image) && !image->kernel.format->unpacks;
}

void boot_load_later(struct boot_image *image, struct memory_fill *fill)
{
	image->kernel.file.fill = image->initrd.fill = fill;
}

void boot_load_early(struct boot_image *image, const struct guest_memory *mem)
{
	static const struct thread_config config = {.name = "load", .kind = THREAD_MAIN};

	image->early.mem = mem;
	image->early.runs = boot_is_large(image) &&
			    thread_create(&image->early.thread, &config, run_early, image) == 0;
}

/* False if there is nothing to wait for. */
static bool wait_for_early(struct boot_image *image)
{
	if (!image->early.runs)
		return false;
	pthread_join(image->early.thread, NULL);
	image->early.runs = false;
	return true;
}

int boot_load(struct boot_image *image, const struct guest_memory *mem, struct error *err)
{
	if (!wait_for_early(image))
		return load_files(image, mem, err);
	if (image->early.ret && err)
		*err = image->early.err;
	return image->early.ret;
}

int boot_hand_over(const struct boot_image *image, const struct guest_memory *mem,
		   const struct arch_platform *platform, struct arch_entry *entry,
		   struct error *err)
{
	const char *cmdline = image->config->cmdline;
	const struct arch_handover handover = {
		.cmdline = cmdline ? cmdline : "",
		.initrd = image->initrd_place,
	};
	gpa_t tables;
	int ret = arch_write_tables(mem, platform, &handover, &tables, err);

	return ret ? ret : boot_arch.hand_over(&image->kernel, mem, &handover, tables, entry, err);
}

void boot_close(struct boot_image *image)
{
	if (!image)
		return;
	atomic_store(&image->early.cancelled, true);
	wait_for_early(image);
	image_close(&image->kernel.file);
	free(image->kernel.state);
	image_close(&image->initrd);
	free(image);
}
