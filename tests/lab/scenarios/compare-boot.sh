# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the same VMMs without traffic: how soon the guest and its init begin, from an ELF kernel, too
# set: extra
# limit: 900
boot_only=on
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"
# shellcheck source=../compare_vmms.sh
. "$LAB_DIR/compare_vmms.sh"

elf=
[ ! -e "$LAB_DIR/vmlinux" ] || elf=elf
# shellcheck disable=SC2086 # names
compare $peers mmio pci $elf
