# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vmlinux boots by its PVH entry, chosen by itself and when asked for
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

only_on_x86 'PVH'
LAB_KERNEL=$LAB_DIR/vmlinux
expect_status 0 lab_xvmm report --boot pvh
expect_value cpus 1
expect_status 0 lab_xvmm report --boot auto
expect_value cpus 1
