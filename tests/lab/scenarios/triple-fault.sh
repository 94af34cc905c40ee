# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a triple fault ends xvmm with status 3
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

only_on_x86 'triple faults'
LAB_APPEND=reboot=t
expect_status 3 lab_xvmm 'reboot -f'
