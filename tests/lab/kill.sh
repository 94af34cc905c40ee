# shellcheck shell=dash source=lib.sh
# SPDX-License-Identifier: Apache-2.0
#
# For scenarios with lab_has testpmd and guest_has iperf3: kill_under_traffic COUNT kills testpmd so
# often, at any moment, under a TCP stream that goes through it, which must survive.

# Bytes that the stream has brought so far. (/sys is another network namespace's.)
received() {
	awk '$1 == "pmdtap:" { print $2 }' /proc/net/dev
}

kill_under_traffic() {
	testpmd_start pmdtap "$LAB_TMP/vhost" io
	testpmd_tap_up pmdtap
	lab_start 'net_up; iperf3 -s' --net "vhost-user,socket=$LAB_TMP/vhost,grace=60"
	guest_wait 'Server listening' 60
	wait_for 30 ping -c 1 -W 1 10.0.2.2
	iperf3 -c 10.0.2.2 -R -t 86400 >"$LAB_TMP/iperf3.log" 2>&1 &
	stream=$!
	kills=0
	while [ "$kills" -lt "$1" ]; do
		usleep "$(($(od -An -N 2 -t u2 /dev/urandom) * 30))"
		peer_kill "$TESTPMD_PID"
		kills=$((kills + 1))
		testpmd_start pmdtap "$LAB_TMP/vhost" io
		testpmd_tap_up pmdtap
		before=$(received)
		wait_for 60 more_than "$before"
		still_runs "$stream" || lab_fail "the TCP connection is gone after $kills kills"
	done
	echo "$kills kills; the TCP connection lives"
	kill -KILL "$stream"
}

# more_than BYTES: many more have come through it by now.
more_than() {
	[ "$(received)" -gt $(($1 + 100000)) ]
}
