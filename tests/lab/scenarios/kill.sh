# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a second SIGTERM ends xvmm at once, whatever the guest does
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

lab_start 'say ready; sleep 1000'
guest_wait 'lab: ready'
kill -TERM "$LAB_PID"
sleep 1
lab_running || lab_fail "the first SIGTERM ended xvmm, though the guest ignores its power button"
start=$(now_ms) status=0
kill -TERM "$LAB_PID"
lab_wait || status=$?
took=$(($(now_ms) - start))
echo "ended after $took ms with status $status"
[ "$took" -lt 1000 ]
