/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that assembly and C share. */
#ifndef GUEST_AARCH64_LAYOUT_H
#define GUEST_AARCH64_LAYOUT_H

#define MAX_CPUS   32
#define STACK_SIZE 16384 /* of each CPU */

/* The table that maps memory, of level 1: blocks of a GiB (Arm ARM, D8.3), marked as accessed. */
#define PAGE_TABLE_ENTRIES 512
#define BLOCK_MEMORY	   0x0000000000000701 /* inner shareable; attribute 0 of MAIR_EL1 */
#define BLOCK_DEVICE	   0x0060000000000705 /* the same, never executed; attribute 1 */

#endif
