# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: console input: 128 KiB of any bytes at once lose nothing
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

# More than the pipe and the guest's tty hold.
: "${size:=131072}"

lab_start "
	stty raw -echo
	say ready
	say sum=\$(head -c $size | md5sum | cut -c 1-32)
"
guest_wait 'lab: ready'
head -c "$size" /dev/urandom >"$LAB_TMP/data"
start=$(now_ms)
cat "$LAB_TMP/data" >&9
expect_status 0 lab_wait
echo "took $(($(now_ms) - start)) ms"
expect_value sum "$(md5sum <"$LAB_TMP/data" | cut -c 1-32)"
