/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors and sizes that assembly and C share. */
#ifndef GUEST_X86_64_SEGMENTS_H
#define GUEST_X86_64_SEGMENTS_H

#define SEL_CODE64    0x08
#define SEL_DATA      0x10
#define SEL_USER_DATA (0x18 | 3)
#define SEL_USER_CODE (0x20 | 3)
#define SEL_CODE32    0x28
#define SEL_TSS	      0x30 /* of CPU 0; 16 bytes each */

#define MAX_CPUS   32
#define STACK_SIZE 8192 /* each CPU has one for ring 0 and one for ring 3 */

/* Where CPUs other than the first one start: below 1 MiB, page-aligned. */
#define TRAMPOLINE 0x8000

#endif
