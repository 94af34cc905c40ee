/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical address space of an aarch64 VM.
 *
 * 0x0800_0000  interrupt controller: GICv3's distributor, ITS and redistributors; or GICv2's
 *              distributor and CPU interface
 * 0x1000_0000  platform devices, 64 KiB each
 * 0x1010_0000  virtio-mmio, a page for each device
 * 0x2000_0000  PCI configuration space (ECAM) of bus 0
 * 0x3000_0000  PCI memory window
 * 0x4000_0000  RAM: device tree; 2 MiB further the kernel, initrd, all else
 */
#ifndef ARCH_AARCH64_LAYOUT_H
#define ARCH_AARCH64_LAYOUT_H

#define LAYOUT_GICD	       0x08000000ULL
#define LAYOUT_GICV2_GICD_SIZE 0x1000ULL
#define LAYOUT_GICV2_GICC      0x08010000ULL
#define LAYOUT_GICV2_GICC_SIZE 0x2000ULL
#define LAYOUT_GICV3_GICD_SIZE 0x10000ULL
#define LAYOUT_ITS	       0x08080000ULL
#define LAYOUT_ITS_SIZE	       0x20000ULL
#define LAYOUT_GICR	       0x0a000000ULL /* LAYOUT_GICR_SIZE for each CPU */
#define LAYOUT_GICR_SIZE       0x20000ULL

#define LAYOUT_SERIAL	       0x10000000ULL
#define LAYOUT_PVPANIC	       0x10010000ULL
#define LAYOUT_DEBUG_EXIT      0x10020000ULL
#define LAYOUT_GUEST_MARK      0x10030000ULL
#define LAYOUT_VIRTIO_MMIO     0x10100000ULL
#define LAYOUT_MMIO_STRIDE     0x1000ULL
#define LAYOUT_PCI_ECAM	       0x20000000ULL
#define LAYOUT_PCI_WINDOW      0x30000000ULL
#define LAYOUT_PCI_WINDOW_SIZE 0x10000000ULL

#define LAYOUT_RAM	0x40000000ULL
#define LAYOUT_TREE	LAYOUT_RAM
#define LAYOUT_TREE_MAX 0x00100000ULL /* bytes; booting.rst allows 2 MiB */
#define LAYOUT_KERNEL	0x40200000ULL /* a multiple of 2 MiB, plus the kernel's text_offset */
/* booting.rst: kernel and initrd lie in 32 GiB that begin at a multiple of 1 GiB. */
#define LAYOUT_KERNEL_SPACE (0x800000000ULL - 0x00200000ULL)

/* Interrupts: GSI n = SPI n, which is INTID 32 + n. */
#define LAYOUT_GSI_SERIAL      1
#define LAYOUT_GSI_POWER       2
#define LAYOUT_GSI_PCI	       4  /* to 7 */
#define LAYOUT_GSI_VIRTIO_MMIO 16 /* the first of LAYOUT_MAX_VIRTIO_MMIO */
#define LAYOUT_MAX_VIRTIO_MMIO 8
#define LAYOUT_SPIS	       32

#endif
