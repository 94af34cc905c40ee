/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's struct boot_params, the "zero page" (Documentation/arch/x86/zero-page.rst). */
#ifndef BOOT_X86_64_LINUX_PARAMS_H
#define BOOT_X86_64_LINUX_PARAMS_H

#include <asm/bootparam.h>

#include "vmm/core/memory.h"

struct error;
struct handover;

/*
 * Write the zero page to LAYOUT_ZERO_PAGE. @header: a bzImage's setup header, or NULL for an ELF
 * file, which has none. -EFAULT if there is no memory.
 */
int linux_params_write(const struct guest_memory *mem, const struct setup_header *header,
		       const struct handover *handover, struct error *err);

#endif
