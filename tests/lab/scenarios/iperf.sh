# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: iperf3: TCP both ways and UDP
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

tap_up tap0
guest_has iperf3
lab_start 'net_up; say ready; iperf3 -s' --net tap0
guest_wait 'lab: ready' 60
sleep 1

# rate WHAT IPERF3-OPTION...: what the receiver counted.
rate() {
	what=$1
	shift
	iperf3 -c 10.0.2.2 -t 3 -f m "$@" >"$LAB_TMP/iperf3.log"
	echo "$what:$(sed -n 's/^\[ *[0-9]*\]\(.*\)receiver/\1/p' "$LAB_TMP/iperf3.log")"
}

rate 'TCP host to guest'
rate 'TCP guest to host' -R
rate 'UDP host to guest' -u -b 20M -l 1400
rate 'UDP guest to host' -u -b 20M -l 1400 -R
