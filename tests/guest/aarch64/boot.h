/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_AARCH64_BOOT_H
#define GUEST_AARCH64_BOOT_H

/* Fill in boot_info (lib/boot_info.h) from the device tree at @tree, which lib/fdt.h then reads. */
void boot_read(const void *tree);

#endif
