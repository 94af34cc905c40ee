#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tap of a guest that runs is deleted: its link goes down, and comes up again on another tap.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

ip tuntap add tap0 mode tap
ip tuntap add tap1 mode tap
ip tuntap add tap2 mode tap
ip link set tap0 up
ip link set tap1 up
ip link set tap2 up
for transport in mmio pci; do
	problem=
	start --kernel "$(guest_file link)" --net "tap0,transport=$transport" --net tap2 \
		--control "$work/control" </dev/null
	await ready || problem='the guest is not ready'
	[ -n "$problem" ] || ! "$XVMM" ctl "$work/control" net-switch net1 tap0 >/dev/null 2>"$work/ctl" ||
		problem='two devices have one tap'
	[ -n "$problem" ] || grep -q 'net0 already has tap0' "$work/ctl" || problem="it says: $(cat "$work/ctl")"
	ip link delete tap0
	[ -n "$problem" ] || await 'ok .* - down' || problem='the link is not down'
	grep -Eqx 'xvmm: net0: tap0 has gone: the link is down; try: xvmm ctl PATH net-switch net0 TAP' "$work/err" ||
		problem=${problem:-'nothing is said of it'}
	[ -n "$problem" ] || "$XVMM" ctl "$work/control" net-switch net0 tap1 >/dev/null 2>"$work/ctl" ||
		problem="no switch: $(cat "$work/ctl")"
	[ -z "$problem" ] || kill -KILL -- "-$pid"
	finish
	[ "$status" = 0 ] || problem=${problem:-"exit status is $status"}
	verdict "a tap is deleted, and another taken, $transport" "$problem"
	ip tuntap add tap0 mode tap
	ip link set tap0 up
done
done_testing
