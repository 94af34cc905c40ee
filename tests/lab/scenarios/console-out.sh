# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: console output: 32 KiB lose nothing
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"

# stty: no carriage returns.
expect_status 0 lab_xvmm '
	stty raw
	say begin
	seq 10000 15460
	say end
'
sed '1,/^lab: begin/d; /^lab: end/,$d' "$LAB_TMP/console.log" >"$LAB_TMP/numbers"
seq 10000 15460 | cmp - "$LAB_TMP/numbers"
wc -c <"$LAB_TMP/numbers"
