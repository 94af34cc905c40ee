# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a guest with 2 vCPUs that stands still for 5 seconds, and goes on as if nothing had been; by vhost-net, too
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"

# ctl COMMAND
ctl() {
	"$LAB_XVMM" ctl "$LAB_TMP/control" "$1" || lab_fail "ctl $1"
}

# stands_still NET
stands_still() {
	lab_start '
		net_up
		say ready
		while :; do usleep 100000; say tick; done
	' --net "$1" --cpus 2 --control "$LAB_TMP/control"
	guest_wait 'lab: ready' 60
	ping -c 1 -W 5 10.0.2.2 >/dev/null || lab_fail 'the guest does not answer'
	ctl stop
	ctl query-status | grep -q '"paused"' || lab_fail 'it is not paused'
	sleep 0.5
	before=$(guest_lines tick | wc -l)
	! ping -c 3 -W 1 10.0.2.2 >/dev/null || lab_fail 'the guest answers while it stands still'
	sleep 2
	[ "$(guest_lines tick | wc -l)" = "$before" ] || lab_fail 'the guest goes on while it stands still'
	ctl cont
	ping -c 10 -i 0.2 -q 10.0.2.2
	until [ "$(guest_lines tick | wc -l)" -gt $((before + 10)) ]; do sleep 0.1; done
	! grep -E 'lockup|stall|Call Trace' "$LAB_TMP/console.log" || lab_fail 'the guest has noticed'
	lab_kill
	ip neigh flush to 10.0.2.2 # the next guest has another MAC address
}

tap_up tap0
stands_still tap0
stands_still tap0,vhost=on
