/* SPDX-License-Identifier: Apache-2.0 */
/* By which entry of head.S the guest was started. */
#ifndef GUEST_X86_64_BOOT_H
#define GUEST_X86_64_BOOT_H

#define BOOT_PVH     0 /* boot data: struct hvm_start_info */
#define BOOT_LINUX64 1 /* boot data: struct boot_params */

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Fill in boot_info (lib/boot_info.h) from what the VMM left at @data. */
void boot_read(unsigned int protocol, uintptr_t data);
#endif

#endif
