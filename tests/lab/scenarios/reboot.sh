# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: reboot ends xvmm with status 0
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

expect_status 0 lab_xvmm 'reboot -f'
