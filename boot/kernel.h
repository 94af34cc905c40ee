/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What boot.c knows of kernels, whatever the architecture; boot/<isa>/formats.c has the rest. The
 * thread that sets up the VM.
 */
#ifndef BOOT_KERNEL_H
#define BOOT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "boot/image.h"
#include "vmm/core/memory.h"

struct error;

/* A kernel file, and how it is booted. */
struct kernel {
	struct image file;
	const struct kernel_format *format;
	void *state; /* the format's own, from open(); freed with free(); or NULL */

	/* Before open() what is asked for (or AUTO) and the limits of boot_arch; then the kernel's.
	 */
	enum boot_protocol protocol; /* not AUTO */
	uint64_t initrd_limit;	     /* where the initrd must end at the latest */
	size_t cmdline_max;	     /* bytes, without the final NUL */

	/* From open(). */
	uint64_t entry;		    /* guest-physical */
	struct memory_range extent; /* what it takes before it knows the memory map */
};

struct kernel_format {
	/* True if the first @len bytes of a file, @head, are of this format. */
	bool (*match)(const uint8_t *head, size_t len);
	/* Read and check the file's headers. The error doesn't name the file. */
	int (*open)(struct kernel *kernel, struct error *err);
	/* What load() does is more than to call image_load(). */
	bool unpacks;
	/* Read it to its extent, which lies in memory. Errors of image_load(). */
	int (*load)(const struct kernel *kernel, const struct guest_memory *mem, struct error *err);
};

/* The architecture's. */
struct boot_arch {
	const char *machine;			    /* whose kernels are booted: "x86-64" */
	const char *format_names;		    /* "neither a bzImage nor an ELF file" */
	struct memory_range space;		    /* where kernels and initrds may be */
	size_t cmdline_max;			    /* bytes, without the final NUL */
	const struct kernel_format *const *formats; /* ends with NULL */
	/*
	 * Tell the @kernel, which is in @mem, what there is: @handover, memory, and the firmware
	 * tables at @tables. *@entry: how the first vCPU enters it.
	 */
	int (*hand_over)(const struct kernel *kernel, const struct guest_memory *mem,
			 const struct arch_handover *handover, gpa_t tables,
			 struct arch_entry *entry, struct error *err);
};
extern const struct boot_arch boot_arch;

#endif
