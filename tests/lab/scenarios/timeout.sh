# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: --timeout ends xvmm with status 124
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

start=$(now_ms)
expect_status 124 lab_xvmm 'sleep 1000' --timeout 6
took=$(($(now_ms) - start))
echo "took $took ms"
[ "$took" -ge 6000 ] && [ "$took" -lt 9000 ]
