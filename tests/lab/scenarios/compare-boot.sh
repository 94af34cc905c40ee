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
# all SUFFIX: every VMM, with that behind its name.
all() {
	for vmm in $peers mmio pci; do
		echo "$vmm$1"
	done
}

# shellcheck disable=SC2046 # names
{
	compare $(all '') $elf
	compare $(all -locks)
	# Last: the emulation may not survive two vCPUs that rewrite their kernel (README.md).
	compare $(all -smp2)
}
