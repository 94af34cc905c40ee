#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# xvmm check: one finding after another, each with its cure, and what devices would offer; the same
# as JSON; and that nothing is left behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

# check ARGUMENT...: sets $status and $left.
check() {
	start check "$@" </dev/null
	finish
}

ip tuntap add tap0 mode tap
ip tuntap add tap4 mode tap multi_queue
ip link set tap4 up

check --kernel "$GUESTS/hello.elf" --net tap4,queues=4 --net user
judge 'all is well' 0 '^ok +kernel +it can be booted' '^ok +memory +512 MiB, private' \
	'^ok +net0 +tap4, in-process; offers csum .* mq ' '^ +not .*packed \(not asked for\)' \
	'^ok +net1 +user, in-process; offers csum' '^(ok|warning) +kvm '

head -c 100 "$GUESTS/hello.elf" >"$work/cut"
check --kernel "$work/cut" --net tap9 --net tap0,queues=2 --net tap4,vhost=on,packed=on --net user,hostfwd=tcp::7-:1,hostfwd=tcp::7-:2 --cpus 250
judge 'each problem is told' 1 '^problem +kernel ' '^problem +net0 +tap9: no such network interface$' \
	'^ +try: ip tuntap add tap9 mode tap && ip link set tap9 up$' \
	'^problem +net1 +tap0: it has one queue, and several were asked for$' \
	'^problem +net2 ' '^problem +net3 .*tcp:0.0.0.0:7: Address already in use'

check --net tap0
judge 'without a kernel; a tap that is down' 0 '^warning +kernel +none is given' \
	'^warning +net0 +tap0: the interface is down, so no packet passes$' '^ +try: ip link set tap0 up$'

check --memory 100000G
judge 'more memory than there is' 1 '^problem +memory '
check --memory 900G
judge 'more memory than is left' 0 '^warning +memory +921600 MiB for the guest, and the host has [0-9]* left$' '^ +try: --memory [0-9]*M$'
check --memory 900G,hugepages=on --net "vhost-user,socket=$work/none"
judge 'huge pages that are not there' 1 '^problem +net0 +it was not looked at, for want of memory$' '^problem +memory +guest memory: 921600 MiB of 2 MiB pages: Cannot allocate memory$' \
	'^ +try: sysctl vm.nr_hugepages=460800$'

check --memory 900G,prealloc=on
judge 'memory that a run would not get' 1 '^problem +memory .*921600 MiB at once, and this machine has' \
	'^ +try: without prealloc=on$'

check --net tap4 --net tap4
judge 'the same tap twice' 1 '^ok +net0 ' '^problem +net1 +net0 already has tap4'

nets=()
for _ in {0..8}; do
	nets+=(--net user)
done
check --transport mmio "${nets[@]}"
judge 'a device too many' 1 '^ok +net7 ' '^problem +net8 +too many devices: at most 8 on virtio-mmio$'

check --net user,hostfwd=tcp::17-:1 --net user,hostfwd=tcp::17-:2
judge 'two devices want one port of the host' 1 '^ok +net0 ' '^problem +net1 .*tcp:0.0.0.0:17: Address already in use'

check --sandbox "on,namespaces=on,chroot=$work/no"
judge 'a sandbox that can not be' 1 "^problem +sandbox +--sandbox: chroot=$work/no: No such file" "^ +try: mkdir -p $work/no\$"
check --sandbox "on,namespaces=on,chroot=$work"
judge 'a sandbox that can be' 0 '^ok +sandbox '

# What a run makes: where it can't, and where it can.
check --console "file:$work/no/console" --timeline "$work" --control "$work/cut" --net "user,pcap=$work/no/pcap"
judge 'files and sockets that can not be made' 1 \
	"^problem +console +$work/no/console: No such file .* no directory $work/no\$" "^ +try: mkdir -p $work/no\$" \
	"^problem +timeline +$work: Is a directory" "^problem +control +$work/cut: it exists and is no socket" \
	"^problem +net0 +the capture $work/no/pcap: No such file"
check --console "file:$work/console" --timeline "$work/timeline" --control "$work/control" --net "user,pcap=$work/pcap"
judge 'files and sockets that can be made' 0 "^ok +console +$work/console: it can be written" '^ok +timeline ' \
	'^ok +control ' '^ok +net0 '
verdict 'and are not made' "$(ls "$work/console" "$work/timeline" "$work/control" "$work/pcap" 2>/dev/null)"

check --net tap4,csum=off,mrg_rxbuf=off --transport mmio
judge 'who takes a feature away' 0 '^ +not csum \(not asked for\) .*host_tso4 \(csum\)' 'mq \(queues=1\)' \
	'mrg_rxbuf \(not asked for\)' 'notification_data \(not asked for\)'

check --json --net tap9 --net tap4
python=$(command -v python3)
problem=
[ "$status" = 1 ] || problem="exit status is $status"
[ -n "$python" ] && ! "$python" - "$work/out" <<-'END' && problem=${problem:-'the JSON says something else'}
	import json, sys
	all = json.load(open(sys.argv[1]))
	assert all["ok"] is False
	tap9 = [f for f in all["findings"] if f["subject"] == "net0"]
	assert tap9 == [{"subject": "net0", "status": "problem", "text": "tap9: no such network interface",
	                 "try": "ip tuntap add tap9 mode tap && ip link set tap9 up"}], tap9
	assert [f["status"] for f in all["findings"] if f["subject"] == "memory"] == ["ok"]
	(net1,) = all["devices"]
	assert net1["id"] == "net1" and net1["backend"] == "tap4" and net1["datapath"] == "in-process"
	assert "csum" in net1["offered"] and net1["missing"]["packed"] == "not asked for"
END
grep -q '"ok": false' "$work/out" || problem=${problem:-'no JSON'}
verdict 'as JSON' "$problem"

"$XVMM" check --json >/dev/full 2>"$work/err"
status=$?
judge 'what can not be written is no success' 1
verdict 'and says so' "$(grep -q "standard output can't be written" "$work/err" || cat "$work/err")"

check --bogus
judge 'a wrong option' 2
check --json --net tap4,bogus=1
judge 'a wrong key' 2

# Whatever was looked at is free again: a guest has it.
guest poweroff --net tap4
judge 'what was checked can be used' 0
done_testing
