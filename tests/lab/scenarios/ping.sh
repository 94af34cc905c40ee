# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: ping from guest and host, none lost
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

tap_up tap0
lab_start '
	net_up
	say guest-to-host: $(ping -q -c 50 -i 0.05 10.0.2.1)
	say ready
	sleep 1000
' --net tap0
guest_wait 'lab: ready' 60
lost_none='50 packets transmitted, 50 packets received, 0% packet loss'
guest_lines guest-to-host
guest_said "$lost_none" || lab_fail "guest to host"
ping -q -c 50 -i 0.05 10.0.2.2 | tee "$LAB_TMP/ping"
grep -q "$lost_none" "$LAB_TMP/ping" || lab_fail "host to guest"
