# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the byte that a guest writes to the debug-exit port is xvmm's exit status
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 42 lab_xvmm 'outb 0xf4 42'
expect_status 0 lab_xvmm 'outb 0xf4 0'
