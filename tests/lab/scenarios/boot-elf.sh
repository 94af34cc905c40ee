# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vmlinux boots by its 64-bit entry
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

only_on_x86 'vmlinux'
LAB_KERNEL=$LAB_DIR/vmlinux
expect_status 0 lab_xvmm report --boot linux
expect_value cpus 1
