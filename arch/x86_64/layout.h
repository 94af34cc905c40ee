/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical address space of an x86-64 VM.
 *
 *   0x0000_0000  RAM: boot structures below 640 KiB, free for the guest once it runs
 *   0x0009_fc00  no RAM (where the EBDA and the VGA window are on a PC)
 *   0x000e_0000  ACPI tables (RAM, marked reserved in the memory map)
 *   0x0010_0000  RAM: kernel, initrd, all else
 *   0xc000_0000  the hole: no RAM
 *     0xd000_0000  virtio-mmio, a page for each device
 *     0xe000_0000  PCI configuration space (ECAM) of bus 0; room for 255 more
 *     0xf000_0000  PCI memory window
 *     0xfec0_0000  IOAPIC          0xfee0_0000  local APIC
 *     0xfeff_c000  KVM's identity map page and TSS (Intel without unrestricted guest)
 * 0x1_0000_0000  RAM: the rest
 * above it, at the next multiple of its size: a second PCI memory window
 */
#ifndef ARCH_X86_64_LAYOUT_H
#define ARCH_X86_64_LAYOUT_H

/* Written for the first vCPU's entry. */
#define LAYOUT_GDT	   0x00000500ULL
#define LAYOUT_PAGE_TABLES 0x00009000ULL /* 6 pages: PML4, PDPT, 4 page directories = 4 GiB */

/* Written for the kernel (boot/). */
#define LAYOUT_PVH_START_INFO 0x00006000ULL /* a page: start info, modules, memory map */
#define LAYOUT_ZERO_PAGE      0x00007000ULL /* a page: struct boot_params */
#define LAYOUT_CMDLINE	      0x00020000ULL
#define LAYOUT_CMDLINE_MAX    0x00010000ULL /* bytes, with the final NUL */

#define LAYOUT_LOW_RAM_END 0x0009fc00ULL /* end of RAM below 1 MiB, as the memory map has it */
#define LAYOUT_TABLES	   0x000e0000ULL /* RSDP first: where a guest that searches finds it */
#define LAYOUT_TABLES_END  0x00100000ULL
#define LAYOUT_BIOS_RESET  0x000ffff0ULL /* where a BIOS begins, in the last bytes of the tables */
#define LAYOUT_HIGH_RAM	   0x00100000ULL

#define LAYOUT_HOLE	       0xc0000000ULL /* RAM below 4 GiB ends here at the latest */
#define LAYOUT_HOLE_END	       0x100000000ULL
#define LAYOUT_VIRTIO_MMIO     0xd0000000ULL
#define LAYOUT_MMIO_STRIDE     0x1000ULL
#define LAYOUT_PCI_ECAM	       0xe0000000ULL
#define LAYOUT_PCI_WINDOW      0xf0000000ULL
#define LAYOUT_PCI_WINDOW_SIZE 0x08000000ULL
#define LAYOUT_PCI_HIGH_SIZE   0x400000000ULL /* 16 GiB: all CPUs can address it above little RAM */
#define LAYOUT_IOAPIC	       0xfec00000ULL
#define LAYOUT_LOCAL_APIC      0xfee00000ULL
#define LAYOUT_IDENTITY_MAP    0xfeffc000ULL
#define LAYOUT_TSS	       0xfeffd000ULL
#define LAYOUT_TSS_SIZE	       0x3000ULL

/* Ports. */
#define LAYOUT_PORT_NMI_STATUS 0x061 /* a PC's "NMI status and control register" */
#define LAYOUT_PORT_DEBUG_EXIT 0x0f4 /* where QEMU's isa-debug-exit is by custom */
#define LAYOUT_PORT_GUEST_MARK 0x0f8 /* next to it; neither is anything of a PC's */
#define LAYOUT_PORT_SERIAL     0x3f8
#define LAYOUT_PORT_PVPANIC    0x505 /* as on QEMU's pc */
#define LAYOUT_PORT_ACPI_PM    0x600
#define LAYOUT_PORT_PCI	       0xcf8

/* Interrupts: GSI = IOAPIC pin. */
#define LAYOUT_GSI_SERIAL      4
#define LAYOUT_GSI_ACPI_PM     9
#define LAYOUT_GSI_PCI	       10 /* to 13: the first four in a row that nothing else wants */
#define LAYOUT_GSI_VIRTIO_MMIO 16 /* the first of LAYOUT_MAX_VIRTIO_MMIO */
#define LAYOUT_MAX_VIRTIO_MMIO 8
#define LAYOUT_IOAPIC_PINS     24

#endif
