/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From kernel files to guest memory: kernel (of the formats in boot/<isa>), initrd, command line,
 * firmware tables.
 *
 * Two steps, so that every file is open (and every plain mistake told) before a VM exists, and
 * nothing is opened later: boot_open(), then boot_load(). Files are hostile input. The thread that
 * sets up the VM.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

struct error;
struct logger;

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
 * Put kernel, initrd, command line, memory map and the tables that describe @platform into @mem,
 * and say where to enter. @mem is as memory_create() made it: what the kernel expects to be zero is
 * not written. Errors: what does not fit (kernel, initrd, command line) and how much memory it
 * would take; a file that was cut since it was opened; those of arch_write_tables().
 */
int boot_load(const struct boot_image *image, const struct guest_memory *mem,
	      const struct arch_platform *platform, struct arch_entry *entry, struct error *err);

/* How much memory the kernel itself takes, in bytes. */
uint64_t boot_kernel_size(const struct boot_image *image);

/* Close the files. Accepts NULL. */
void boot_close(struct boot_image *image);

#endif
