/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of aarch64: Linux's Image, raw or in gzip, with a device tree. */
#include <errno.h>

#include "arch/aarch64/layout.h"
#include "boot/aarch64/linux_image.h"
#include "boot/kernel.h"
#include "vmm/core/error.h"

static int open_image(struct kernel *kernel, bool gzip, struct error *err)
{
	int ret = linux_image_open(&kernel->file, gzip, LAYOUT_KERNEL, &kernel->extent, err);

	if (ret)
		return ret;
	if (kernel->protocol == BOOT_PROTOCOL_PVH)
		return error_set(err, -ENOEXEC, "it has no PVH entry, which is for x86");
	kernel->protocol = BOOT_PROTOCOL_LINUX64;
	kernel->entry = kernel->extent.base;
	return 0;
}

static int open_raw(struct kernel *kernel, struct error *err)
{
	return open_image(kernel, false, err);
}

static int open_gzip(struct kernel *kernel, struct error *err)
{
	return open_image(kernel, true, err);
}

static int load_raw(const struct kernel *kernel, const struct guest_memory *mem, struct error *err)
{
	return linux_image_load(&kernel->file, false, &kernel->extent, mem, err);
}

static int load_gzip(const struct kernel *kernel, const struct guest_memory *mem, struct error *err)
{
	return linux_image_load(&kernel->file, true, &kernel->extent, mem, err);
}

static const struct kernel_format raw_format = {
	.match = linux_image_match,
	.open = open_raw,
	.load = load_raw,
};

static const struct kernel_format gzip_format = {
	.match = linux_image_match_gzip,
	.open = open_gzip,
	.unpacks = true,
	.load = load_gzip,
};

/* All that it is told is in the device tree. */
static int hand_over(const struct kernel *kernel, const struct guest_memory *mem,
		     const struct arch_handover *handover, gpa_t tables, struct arch_entry *entry,
		     struct error *err)
{
	(void)mem;
	(void)handover;
	(void)err;
	*entry = (struct arch_entry){
		.protocol = kernel->protocol,
		.entry = gpa(kernel->entry),
		.params = tables,
	};
	return 0;
}

static const struct kernel_format *const formats[] = {&raw_format, &gzip_format, NULL};

const struct boot_arch boot_arch = {
	.machine = "arm64",
	.format_names = "not an Image, as it is or in gzip",
	.space = {.base = LAYOUT_KERNEL, .size = LAYOUT_KERNEL_SPACE},
	.cmdline_max = 2047, /* Linux cuts what is longer: COMMAND_LINE_SIZE */
	.formats = formats,
	.hand_over = hand_over,
};
