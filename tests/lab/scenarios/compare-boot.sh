# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: how soon guest and init begin next to those VMMs, by transport, kernel image and number of vCPUs
# set: extra
# limit: 1500
boot_only=on
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"
# shellcheck source=../compare_vmms.sh
. "$LAB_DIR/compare_vmms.sh"

elf=
[ ! -e "$LAB_DIR/vmlinux" ] || elf=elf
with_two=
for vmm in $peers mmio pci; do
	with_two="$with_two $vmm-smp2"
done
# shellcheck disable=SC2086 # names
compare $peers mmio pci $elf $with_two
