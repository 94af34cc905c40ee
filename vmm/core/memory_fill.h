/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that is filled from files while the guest runs. Who touches a part that isn't there
 * yet waits until it is (userfaultfd(2)); a thread reads one after the other, first those that are
 * waited for, to a page of its own, a huge one where there are such, and moves that page to its
 * place. So nobody sees what the file doesn't have: one that was cut is an error, which is told
 * before anyone goes on.
 *
 * It takes private memory that comes when it is touched, pages of 4 KiB, and /dev/userfaultfd of
 * Linux 6.8, which is root's unless somebody gives it away.
 *
 * All but the callback is the thread's that sets up the VM.
 */
#ifndef VMM_CORE_MEMORY_FILL_H
#define VMM_CORE_MEMORY_FILL_H

#include <stdint.h>

#include "vmm/core/memory.h"

struct error;
struct logger;
struct thread_filters;
struct memory_fill;

struct memory_fill_config {
	const struct thread_filters *filters; /* of the thread, or NULL; outlive it */
	const struct logger *log;	      /* tells of files that take long; or NULL */
	/*
	 * It is over: all is there; or @err tells why some never will be, and then who waits for it
	 * goes on with zeroes once this returns. By the thread, at most once, and not at all if it
	 * is destroyed before.
	 */
	void (*ended)(void *opaque, const struct error *err);
	void *opaque;
};

/*
 * For the first region of @mem, which outlives it, and in which nothing was touched yet. -errno
 * where that can't be had: of the memory, the kernel, or this user.
 */
int memory_fill_create(const struct guest_memory *mem, struct memory_fill **fill);

/*
 * As memory_read_file(), but nothing is read yet: of [@addr, @addr + @len), and of the rest of the
 * 2 MiB blocks that this is in, which will be zero unless they are another file's. But the first
 * block is nobody's: what goes there is read at once. @fd is duplicated. @name, of the file, for
 * errors: copied.
 */
int memory_fill_add(struct memory_fill *fill, gpa_t addr, int fd, uint64_t offset, uint64_t len,
		    const char *name);

/* Begin, once. Who touches a block before waits for this. 0 or the negative errno of the thread. */
int memory_fill_start(struct memory_fill *fill, const struct memory_fill_config *config);

/*
 * End it, if it hasn't: who still waits goes on, with zeroes. A second at most: a thread that is
 * still at a file then, as on a network's whose server is gone, is left behind, with nothing but
 * that file, and ends when it has read. Accepts NULL.
 */
void memory_fill_destroy(struct memory_fill *fill);

#endif
