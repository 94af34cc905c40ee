# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a guest that spins panics by inject-nmi, and says where it was
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

only_on_x86 inject-nmi
lab_start 'say ready; while :; do :; done' --control "$LAB_TMP/control" --panic-line on
guest_wait 'lab: ready'
"$LAB_XVMM" ctl "$LAB_TMP/control" inject-nmi
expect_status 3 lab_wait
guest_said 'NMI' || lab_fail 'no word of an NMI on the console'
guest_said 'Call Trace' || lab_fail 'no backtrace on the console'
