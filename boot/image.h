/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that goes into guest memory: opened once, read with bounds.
 *
 * Errors say what is wrong with the file, not which file it is: the caller puts the name before
 * them. The thread that sets up the VM.
 */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/core/memory.h"

struct error;
struct logger;
struct memory_fill;

struct image {
	int fd;	       /* owned; -1: no file */
	uint64_t size; /* bytes, when it was opened */
	/* For a word if loading it takes long: zero, or set by the caller once it is open. */
	const char *name;
	const char *path;
	const struct logger *log;
	const atomic_bool *cancelled; /* becomes true: it need not be loaded to its end; or NULL */
	struct memory_fill *fill;     /* that is to load it, while the guest runs; or NULL */
};

/*
 * Open the regular file at @path (symbolic links are followed). Nothing else is ever opened, so
 * that a FIFO doesn't block and a device doesn't notice. -EINVAL if it is none or is empty, or
 * what stat() and open() give. On failure *@image is as after image_close().
 */
int image_open(struct image *image, const char *path, struct error *err);

/* Close the file. Accepts an image whose fd is -1. */
void image_close(struct image *image);

/* -ENODATA, and words about @what, unless [@offset, @offset + @len) lies in the file. */
int image_check(const struct image *image, uint64_t offset, uint64_t len, const char *what,
		struct error *err);

/* Read @len bytes at @offset. -ENODATA as above, or the errno of pread(). */
int image_read(const struct image *image, uint64_t offset, void *to, size_t len, const char *what,
	       struct error *err);

/*
 * Read @len bytes at @offset straight into guest memory, or have its fill do so. -EFAULT where
 * there is no memory, -ENODATA if the file has become shorter since it was opened, -ECANCELED, or
 * the errno of pread().
 */
int image_load(const struct image *image, uint64_t offset, const struct guest_memory *mem,
	       gpa_t addr, uint64_t len, struct error *err);

#endif
