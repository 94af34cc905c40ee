# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: SIGTERM presses the guest's power button; the guest powers off, status 0
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

lab_start obey_power_button
guest_wait 'lab: ready'
! guest_said 'lab: no power button' || lab_skip "the guest's kernel has no driver of the power button"
kill -TERM "$LAB_PID"
expect_status 0 lab_wait
guest_said 'lab: power button pressed'
