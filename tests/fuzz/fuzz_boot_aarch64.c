/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files for aarch64 as hostile input: each input is a file as it is, and what gzip has
 * packed in one; with itself as the initrd, too. It is loaded into 64 MiB. Whatever loads is there
 * byte by byte, as is the initrd, and the device tree is whole, with nothing written behind it.
 */
#include <libfdt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "arch/aarch64/layout.h"
#include "boot/boot.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

#define MEMORY_SIZE (64ULL << 20)

struct bytes {
	const uint8_t *data; /* NULL: whatever they are */
	size_t len;
};

static void require_bytes(const struct guest_memory *mem, uint64_t addr, const struct bytes *bytes)
{
	const void *p = memory_translate(mem, gpa(addr), bytes->len);

	require(p && (!bytes->data || memcmp(p, bytes->data, bytes->len) == 0));
}

static void require_zero(const struct guest_memory *mem, uint64_t from, uint64_t to)
{
	const char *p = memory_translate(mem, gpa(from), to - from);

	require(p && p[0] == 0 && memcmp(p, p + 1, to - from - 1) == 0);
}

static uint64_t chosen(const void *fdt, const char *name)
{
	const fdt64_t *number = fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), name, NULL);

	require(number);
	return fdt64_ld(number);
}

static void check_loaded(const struct guest_memory *mem, const struct arch_entry *entry,
			 const struct bytes *kernel, const struct bytes *initrd)
{
	const void *fdt = memory_translate(mem, entry->params, LAYOUT_TREE_MAX);

	require(entry->protocol == BOOT_PROTOCOL_LINUX64);
	require(entry->params.value == LAYOUT_TREE);
	require(fdt && fdt_check_full(fdt, LAYOUT_TREE_MAX) == 0);
	require_zero(mem, LAYOUT_TREE + fdt_totalsize(fdt), LAYOUT_TREE + LAYOUT_TREE_MAX);
	require(entry->entry.value >= LAYOUT_KERNEL);
	require_bytes(mem, entry->entry.value, kernel);
	if (!initrd)
		return;
	require(chosen(fdt, "linux,initrd-end") - chosen(fdt, "linux,initrd-start") == initrd->len);
	require_bytes(mem, chosen(fdt, "linux,initrd-start"), initrd);
}

static void boot(const struct boot_config *config, const struct bytes *kernel,
		 const struct bytes *initrd)
{
	static const struct arch_platform platform = {.cpus = 1};
	static const struct memory_config memory_config;
	const struct memory_range range = {LAYOUT_RAM, MEMORY_SIZE};
	struct boot_image *image;
	struct guest_memory mem;
	struct arch_entry entry;
	struct error err = {0};

	if (boot_open(config, &image, &err)) {
		require(err.code < 0 && err.text[0] && !image);
		return;
	}
	require(memory_create(&mem, &range, 1, &memory_config, NULL) == 0);
	if (boot_load(image, &mem, &err) || boot_hand_over(image, &mem, &platform, &entry, &err))
		require(err.code < 0 && err.text[0]);
	else
		check_loaded(&mem, &entry, kernel, initrd);
	memory_destroy(&mem);
	boot_close(image);
}

/* Boot @file, which is @kernel or has it in it. */
static void boot_file(const struct bytes *file, const struct bytes *kernel)
{
	FD_CLEANUP int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[32];
	struct boot_config config = {.kernel = path, .initrd = path, .cmdline = "console=ttyS0"};

	require(fd >= 0 && fd_write_all(fd, file->data, file->len) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	boot(&config, kernel, file);
	config.initrd = NULL;
	boot(&config, kernel, NULL);
	config.protocol = BOOT_PROTOCOL_PVH;
	boot(&config, kernel, NULL);
}

static void boot_packed(const struct bytes *kernel)
{
	z_stream stream = {.next_in = (void *)(uintptr_t)kernel->data,
			   .avail_in = (uInt)kernel->len};
	struct bytes file;
	uint8_t *packed;

	require(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) ==
		Z_OK);
	stream.avail_out = (uInt)deflateBound(&stream, kernel->len);
	packed = stream.next_out = malloc(stream.avail_out);
	require(packed && deflate(&stream, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&stream);
	file = (struct bytes){packed, stream.total_out};
	boot_file(&file, kernel);
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bytes input = {data, size};
	const struct bytes unknown = {NULL, 1};

	boot_file(&input, size > 1 && memcmp(data, "\x1f\x8b", 2) == 0 ? &unknown : &input);
	boot_packed(&input);
	return 0;
}
