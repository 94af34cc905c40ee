# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 64 MiB by TCP each way arrive as they were
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

# dd receives, because nc would end when its standard input does.
tap_up tap0
nc -l -p 5002 -e dd of="$LAB_TMP/back" bs=64k &
listener=$!
lab_start '
	net_up
	say ready
	nc -l -p 5001 -e dd of=/tmp/data bs=64k
	say in=$(md5sum </tmp/data | cut -c 1-32)
	nc 10.0.2.1 5002 </tmp/data
' --net tap0 --memory 512M

head -c $((64 << 20)) /dev/urandom >"$LAB_TMP/data"
guest_wait 'lab: ready' 60
sleep 1
nc 10.0.2.2 5001 <"$LAB_TMP/data" &
sender=$!
expect_status 0 lab_wait
wait "$sender"
wait "$listener"
expect_value in "$(md5sum <"$LAB_TMP/data" | cut -c 1-32)"
cmp "$LAB_TMP/data" "$LAB_TMP/back"
