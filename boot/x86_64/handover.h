/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel is told, whatever the protocol. All of it is in guest memory already. */
#ifndef BOOT_X86_64_HANDOVER_H
#define BOOT_X86_64_HANDOVER_H

#include "boot/x86_64/memory_map.h"
#include "vmm/core/memory.h"

struct handover {
	struct memory_map map;
	struct memory_range initrd; /* size 0: none; below 4 GiB */
	gpa_t cmdline;		    /* ends with a NUL; below 4 GiB */
	gpa_t tables;		    /* the RSDP */
};

#endif
