# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a panic told by pvpanic ends xvmm with status 3
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 3 lab_xvmm panic
guest_said 'Kernel panic\|no driver of pvpanic' || lab_fail "no panic on the console"
