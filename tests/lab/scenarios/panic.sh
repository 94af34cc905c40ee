# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a panic told by pvpanic ends xvmm with status 3
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 3 lab_xvmm 'load pvpanic pvpanic-mmio; echo c >/proc/sysrq-trigger'
guest_said 'Kernel panic' || lab_fail "no panic on the console"
