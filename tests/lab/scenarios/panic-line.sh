# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a panic of a guest without pvpanic's driver: status 3 by its words on the console, whether it
# shows: reboots then or hangs, and all of its last words in the log
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

echo '# it reboots'
expect_status 3 lab_xvmm 'echo c >/proc/sysrq-trigger' --panic-line on
grep -q 'Kernel panic - not syncing' "$LAB_TMP/console.log" || lab_fail 'no panic on the console'
grep -q 'Kernel Offset' "$LAB_TMP/console.log" || lab_fail 'the end of its words is missing'
echo '# it hangs'
expect_status 3 lab_xvmm 'echo 0 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger' --panic-line on
grep -q 'end Kernel panic' "$LAB_TMP/console.log" || lab_fail 'the end of its words is missing'
echo '# without'
expect_status 0 lab_xvmm 'echo c >/proc/sysrq-trigger'
