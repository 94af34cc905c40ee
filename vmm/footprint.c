/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* What was written to, by the dynamic linker say, must stay. */
static void drop_segment(uintptr_t begin, uintptr_t end)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	begin &= ~(page - 1);
	end = (end + page - 1) & ~(page - 1);
	/* The dynamic linker tells addresses as numbers. */
	madvise((void *)begin, end - begin, MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}

static int drop_object(struct dl_phdr_info *object, size_t size, void *opaque)
{
	(void)size;
	(void)opaque;
	/* The program and the vDSO have no name. */
	if (!object->dlpi_name[0] || object->dlpi_name[0] != '/')
		return 0;
	for (unsigned int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_LOAD && !(header->p_flags & PF_W))
			drop_segment(begin, begin + header->p_memsz);
	}
	return 0;
}

void footprint_reduce(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
	dl_iterate_phdr(drop_object, NULL);
}
