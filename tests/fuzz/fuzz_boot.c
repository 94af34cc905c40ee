/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel files as hostile input: each input is opened by every protocol, with itself as the initrd
 * too, and loaded into 64 MiB. Whatever loads must start inside of what it loaded, and nothing but
 * boot/ itself may have written below 1 MiB.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "boot/boot.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

#define MEMORY_SIZE (64ULL << 20)

static void require_zero(const struct guest_memory *mem, uint64_t from, uint64_t to)
{
	const char *p = memory_translate(mem, gpa(from), to - from);

	require(p && p[0] == 0 && memcmp(p, p + 1, to - from - 1) == 0);
}

static void check_loaded(const struct guest_memory *mem, const struct arch_entry *entry)
{
	require(entry->protocol != BOOT_PROTOCOL_AUTO);
	require(entry->entry.value >= LAYOUT_HIGH_RAM && entry->entry.value < MEMORY_SIZE);
	require(entry->params.value ==
		(entry->protocol == BOOT_PROTOCOL_PVH ? LAYOUT_PVH_START_INFO : LAYOUT_ZERO_PAGE));
	require_zero(mem, 0, LAYOUT_PVH_START_INFO);
	require_zero(mem, LAYOUT_ZERO_PAGE + 4096, LAYOUT_CMDLINE);
	require_zero(mem, LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX, LAYOUT_TABLES);
}

static void boot(const struct boot_config *config)
{
	static const struct arch_platform platform = {.cpus = 1};
	static const struct memory_config memory_config;
	const struct memory_range range = {0, MEMORY_SIZE};
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
		check_loaded(&mem, &entry);
	memory_destroy(&mem);
	boot_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum boot_protocol protocols[] = {BOOT_PROTOCOL_AUTO, BOOT_PROTOCOL_LINUX64,
						       BOOT_PROTOCOL_PVH};
	FD_CLEANUP int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[32];

	require(fd >= 0 && fd_write_all(fd, data, size) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		struct boot_config config = {
			.kernel = path,
			.initrd = path,
			.cmdline = "console=ttyS0",
			.protocol = protocols[i],
		};

		boot(&config);
		config.initrd = NULL;
		boot(&config);
	}
	return 0;
}
