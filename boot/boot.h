/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From kernel files to guest memory: kernel (of the formats in boot/<isa>), initrd, command line,
 * firmware tables.
 *
 * In steps, so that every file is open (and every plain mistake told) before a VM exists, and
 * nothing is opened later: boot_open(), boot_load(), boot_hand_over(). Files are hostile input. The
 * thread that sets up the VM.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

struct error;
struct logger;
struct memory_fill;

struct boot_config {
	const char *kernel;  /* path */
	const char *initrd;  /* path, or NULL */
	const char *cmdline; /* or NULL: empty */
	enum boot_protocol protocol;
	const struct logger *log; /* tells of files that take long to read; or NULL */
};

struct boot_image;

/*
 * Open the files of @config and find out what they are. The error tells apart: missing, not
 * permitted, no regular file, empty, truncated, of another architecture, 32-bit, compressed as a
 * whole (gzip, xz, zstd, ...: with the command that unpacks it), unknown; and a protocol that the
 * file doesn't have. @config and its strings must outlive the image.
 */
int boot_open(const struct boot_config *config, struct boot_image **image, struct error *err);

/*
 * Put kernel and initrd into @mem, which is as memory_create() made it: what the kernel expects to
 * be zero is not written. Errors: what does not fit and how much memory it would take; a file that
 * was cut since it was opened.
 */
int boot_load(struct boot_image *image, const struct guest_memory *mem, struct error *err);

/* Kernel and initrd are so large that it is worth a thread to load them. */
bool boot_is_large(const struct boot_image *image);

/*
 * Have boot_load() only promise them: @fill, of the same memory, loads them while the guest runs,
 * from the files as they are then. The image need not live so long. Of such as
 * boot_can_load_later(): they are large, and the kernel isn't unpacked on its way.
 */
bool boot_can_load_later(const struct boot_image *image);
void boot_load_later(struct boot_image *image, struct memory_fill *fill);

/*
 * Begin with boot_load(), so that it has but to wait for it: in a thread, if the image is large.
 * Making a VM is waiting for the kernel, for the most part. From here on @mem must outlive the
 * image.
 */
void boot_load_early(struct boot_image *image, const struct guest_memory *mem);

/*
 * Put command line, memory map and the tables that describe @platform into @mem, where kernel and
 * initrd are, and say where to enter. Errors: those of arch_write_tables(), what does not fit.
 */
int boot_hand_over(const struct boot_image *image, const struct guest_memory *mem,
		   const struct arch_platform *platform, struct arch_entry *entry,
		   struct error *err);

/* How much memory the kernel itself takes, in bytes. */
uint64_t boot_kernel_size(const struct boot_image *image);

/* Close the files; one that is being loaded early is not loaded to its end. Accepts NULL. */
void boot_close(struct boot_image *image);

#endif
