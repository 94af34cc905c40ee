#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# DPDK's testpmd as the vhost-user back-end of a test guest: packets go round through it, by both
# ring formats and transports, whoever listens; it is killed while they do, and comes back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace
command -v dpdk-testpmd >/dev/null || skip_all "there is no dpdk-testpmd (package dpdk-dev)"

limit=40
# testpmd takes all of a guest's memory in hand when it begins; so guests have little.
socket=$work/vhost
mkfifo "$work/commands"

# testpmd [OPTION]: one that sends back what comes; it ends with its input. Sets $peer.
testpmd() {
	rm -f "$work/testpmd.log"
	stdbuf -oL dpdk-testpmd -l 0,$(($(nproc) > 1)) --no-huge -m 64 --no-pci --file-prefix="xvmm-test-$$" \
		--vdev "net_vhost0,iface=$socket${1-}" -- --total-num-mbufs=2048 --forward-mode=io \
		--auto-start --disable-link-check <>"$work/commands" >"$work/testpmd.log" 2>&1 &
	peer=$!
}

# What it is sent before that it throws away.
forwards() {
	until_true grep -qs 'packet forwarding - ports' "$work/testpmd.log"
}

testpmd_kill() {
	kill -KILL "$peer"
	wait "$peer" 2>/dev/null
	rm -f "$socket"
}

# rounds: how many packets have come back to the guest.
rounds() {
	sed -n 's/^received \([0-9]*\) .*/\1/p' "$work/out"
}

for transport in mmio pci; do
	for packed in off on; do
		testpmd
		problem=
		forwards || problem='testpmd does not forward'
		start --kernel "$GUESTS/net.elf" --memory 32M \
			--cmdline "mode=pump seconds=1 mrg=on indirect=on packed=$packed" \
			--net "vhost-user,socket=$socket,transport=$transport,packed=$packed" </dev/null
		finish
		[ "$status" = 0 ] || problem=${problem:-"status $status"}
		[ "$(rounds)" -gt 1000 ] || problem=${problem:-"$(rounds) packets came back"}
		verdict "packets go round, $transport packed=$packed: $(rounds)" "$problem"
		testpmd_kill
	done
done

# The guest sends until all is sent, however often it dies; each buffer comes back once.
testpmd
start --kernel "$GUESTS/net.elf" --memory 32M --net "vhost-user,socket=$socket" </dev/null \
	--cmdline 'mode=send count=100000 size=100 batch=32 mrg=on indirect=on'
for ((kill = 0; kill < 5; kill++)); do
	forwards || verdict 'testpmd forwards' "it does not; killed $kill times"
	sleep "0.$((2 + RANDOM % 4))" # it is found again within 0.1 s
	testpmd_kill
	testpmd
done
finish
judge 'a guest sends all it has through one that is killed 5 times' 0
testpmd_kill

testpmd ,client=1
start --kernel "$GUESTS/net.elf" --memory 32M --net "vhost-user,socket=$socket,server=on" </dev/null \
	--cmdline 'mode=send count=1000 size=100 batch=32 mrg=on'
finish
judge 'xvmm listens, and testpmd connects' 0
testpmd_kill
done_testing
