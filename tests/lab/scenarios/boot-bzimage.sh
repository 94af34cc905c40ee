# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a stock bzImage boots to userspace and powers off
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

expect_status 0 lab_xvmm report
expect_value cpus 1
