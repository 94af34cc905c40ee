# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the byte that a guest writes to the debug-exit device is xvmm's exit status
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 42 lab_xvmm 'debug_exit 42'
expect_status 0 lab_xvmm 'debug_exit 0'
