# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a program that embeds two guests, joined by a pair of sockets, which talk to each other
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"

lab_has two_guests
guest_has iperf3
one=$(guest_cmdline 'net_up 10.0.3.1; iperf3 -s -1 >/dev/null')
two=$(guest_cmdline 'net_up 10.0.3.2; until ping -c 1 -W 1 10.0.3.1 >/dev/null; do sleep 1; done;
	say ping=$(ping -c 10 -i 0.1 -q 10.0.3.1); iperf3 -c 10.0.3.1 -t 3 -f m')
status=0
two_guests "$LAB_KERNEL" "$LAB_INITRD" "$one" "$two" >"$LAB_TMP/out" || status=$?
sed -n 's/^2: \(lab: ping.*\|.*receiver.*\)/\1/p' "$LAB_TMP/out"
[ "$status" = 0 ] || lab_fail "exit status $status"
grep -q '^2: lab: ping=.* 0% packet loss' "$LAB_TMP/out" || lab_fail 'packets are lost'
grep -q '^2: .*receiver' "$LAB_TMP/out" || lab_fail 'iperf3 has no result'
