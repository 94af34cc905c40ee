#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A capture of a guest's packets, begun and ended while it runs; faults of its network; what can't be.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace
command -v tcpdump >/dev/null || skip_all "there is no tcpdump"
# The host has nothing to say on a tap by itself: which packet is which is what counts here.
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip tuntap add tap0 mode tap
ip addr add 10.0.0.1/24 dev tap0
ip link set tap0 up
ip tuntap add tap1 mode tap
ip link set tap1 up
guest=(--kernel "$GUESTS/net.elf" --cmdline 'mode=reply ip=10.0.0.2')

# ask TEXT [ADDRESS/PORT]: a datagram to the guest; false if it doesn't come back.
ask() {
	local answer='' i
	exec 4<>"/dev/udp/${2:-10.0.0.2/7}"
	for ((i = 0; i < ${tries:-50}; i++)); do
		printf %s "$1" >&4
		answer=$(timeout 0.3 dd bs=1000 count=1 <&4 2>/dev/null)
		[ -z "$answer" ] || break
	done
	exec 4>&-
	[ "$answer" = "$1" ]
}

ctl() {
	"$XVMM" ctl "$work/c" "$@" >"$work/ctl" 2>&1
}

# captured FILE FILTER: how many packets of the file match.
captured() {
	tcpdump -nr "$1" "$2" 2>/dev/null | grep -c '^[0-9][0-9]:'
}

# The end of the VM of this case, which must go on until here.
finish_guest() {
	ctl quit
	finish
	[ "$status" = 0 ] || problem=${problem:-"exit status is $status"}
	[ -z "$left" ] || problem=${problem:-'a process is left behind'}
}

# All that passes, from the first packet on: the guest's ready frame, ARP, a datagram and its answer.
start "${guest[@]}" --net "tap0,pcap=$work/all" --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
ask 'is it there' || problem=${problem:-'no answer'}
finish_guest
tcpdump -nr "$work/all" >"$work/text" 2>&1 || problem=${problem:-"tcpdump: $(cat "$work/text")"}
[ "$(captured "$work/all" 'udp and dst host 10.0.0.2 and udp[4:2] = 19')" -ge 1 ] || problem=${problem:-'the datagram is not there'}
[ "$(captured "$work/all" 'udp and src host 10.0.0.2 and udp[4:2] = 19')" -ge 1 ] || problem=${problem:-'nor its answer'}
[ "$(captured "$work/all" arp)" -ge 2 ] || problem=${problem:-'ARP is not there'}
[ "$(captured "$work/all" 'ether proto 0x88b5')" = 1 ] || problem=${problem:-'the ready frame is not there'}
verdict 'a capture' "$problem"
cp "$work/text" "$work/out"

# While it runs: nothing of before and after. The file is the broker's to open, and the guest's tap stays.
for before in tap0 tap0,loss=0%; do
	start "${guest[@]}" --net "$before" --control "$work/c" </dev/null
	problem=
	await ready || problem='the guest is not ready'
	ask 'before 12' || problem=${problem:-'no answer before'}
	ctl net-switch net0 "tap0,pcap=$work/some" || problem=${problem:-"no switch: $(cat "$work/ctl")"}
	ask 'between 123' || problem=${problem:-'no answer between'}
	# The same capture goes on, with something else done to the packets.
	ctl net-switch net0 "tap0,delay=1ms,pcap=$work/some" || problem=${problem:-"no other switch: $(cat "$work/ctl")"}
	ask 'and 1234567' || problem=${problem:-'no answer with a delay'}
	ctl net-switch net0 tap0 || problem=${problem:-"no switch back: $(cat "$work/ctl")"}
	ask 'after 12345' || problem=${problem:-'no answer after'}
	finish_guest
	for text in 'between 123' 'and 1234567'; do
		[ "$(tcpdump -nAr "$work/some" udp 2>/dev/null | grep -c "$text")" -ge 2 ] || problem=${problem:-"'$text' is not there twice"}
	done
	tcpdump -nAr "$work/some" udp 2>/dev/null | grep -E 'before|after' && problem=${problem:-'there is more than was to be'}
	verdict "a capture is begun and ended, from $before" "$problem"
done

# Two devices, one file: refused at the start, by a switch, and to another VM.
start "${guest[@]}" --net "tap0,pcap=$work/one" --net tap1,id=other --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
ctl net-switch other "tap1,pcap=$work/one" && problem=${problem:-'two devices write one file'}
grep -q 'another capture is being written to it' "$work/ctl" || problem=${problem:-"not said: $(cat "$work/ctl")"}
ask 'goes on' || problem=${problem:-'no answer'}
finish_guest
[ "$(captured "$work/one" udp)" -ge 2 ] || problem=${problem:-'the first capture has suffered'}
verdict 'one file for two devices' "$problem"

# A disk that is full ends the capture only.
start "${guest[@]}" --net "tap0,pcap=/dev/full" --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
ask 'goes on' || problem=${problem:-'no answer'}
finish_guest
[ "$(grep -c '^xvmm: /dev/full: the capture has ended, the network goes on: No space left' "$work/err")" = 1 ] ||
	problem=${problem:-'it is not said once'}
verdict 'a full disk' "$problem"

# counter DIRECTION FAULT: of net0, from the last metrics.
counter() {
	sed -n "s/^xvmm_net_faults_total{device=\"net0\",direction=\"$1\",fault=\"$2\"} //p" "$work/ctl"
}

# Nothing comes in: that is said in numbers.
start "${guest[@]}" --net tap0,loss=100%,seed=5 --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
tries=1
for ((i = 0; i < 100; i++)); do
	ask nobody && problem=${problem:-'an answer in spite of all'}
	ctl metrics
	[ "$(counter tx lost):$(counter rx lost)" = 1:0 ] || [ "$(counter rx lost)" = '' ] || break
done
unset tries
[ "$(counter tx lost)" = 1 ] || problem=${problem:-"lost of those sent: $(counter tx lost), not 1"}
[ "$(counter rx lost)" -ge 1 ] || problem=${problem:-'none was lost of those received'}
[ "$(counter rx duplicated)" = 0 ] || problem=${problem:-'one came twice'}
grep -Eq '^xvmm_net_idle_seconds.device="net0",queue="tx0". [0-9]+e-3$' "$work/ctl" || problem=${problem:-'no time since a packet'}
ctl xvmm-net-stats
grep -q '"seed": 5' "$work/ctl" || problem=${problem:-'the seed is not in xvmm-net-stats'}
# On another wire they pass, and nothing is said of faults any more.
ctl net-switch net0 tap0 || problem=${problem:-"no switch: $(cat "$work/ctl")"}
ask 'at last' || problem=${problem:-'no answer after the switch'}
ctl xvmm-net-stats
grep -q faults "$work/ctl" && problem=${problem:-'faults where there are none'}
finish_guest
grep -qx 'xvmm: net0: its network has faults; seed=5 gives the same ones' "$work/err" || problem=${problem:-'the seed is not said'}
verdict 'all is lost' "$problem"

# Each of them at once, on a tap, and on the socket of a user-mode network.
faults=loss=5%,duplicate=5%,corrupt=1%,delay=2ms~1ms,reorder=5%,rate=10mbit/16K+2000pps
start "${guest[@]}" --net "tap0,$faults,pcap=$work/faults" --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
for i in {1..20}; do
	ask "number $i" || problem=${problem:-"no answer to number $i"}
done
finish_guest
[ "$(captured "$work/faults" udp)" -ge 40 ] || problem=${problem:-'they are not in the capture'}
grep -Eqx 'xvmm: net0: its network has faults; seed=[0-9]+ gives the same ones' "$work/err" || problem=${problem:-'the seed is not said'}
verdict 'all faults on a tap' "$problem"
reason=$("$XVMM" check --net user | grep -E 'built without it|libslirp.*cannot open')
if [ -z "$reason" ]; then
	start --kernel "$GUESTS/net.elf" --cmdline 'mode=reply ip=10.0.2.15' --control "$work/c" \
		--net "user,hostfwd=udp:127.0.0.1:7008-:7,loss=1%,delay=1ms,pcap=$work/user" </dev/null
	problem=
	await ready || problem='the guest is not ready'
	ask 'by slirp' 127.0.0.1/7008 || problem=${problem:-'no answer'}
	finish_guest
	[ "$(captured "$work/user" udp)" -ge 2 ] || problem=${problem:-'nothing is in the capture'}
	verdict 'on a user-mode network' "$problem"
fi

# A tap that is deleted is gone behind faults, too.
start --kernel "$GUESTS/link.elf" --net tap1,delay=5ms --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
ip link delete tap1
await 'ok .* - down' || problem=${problem:-'the link is not down'}
ctl net-switch net0 tap0,loss=0% || problem=${problem:-"no switch: $(cat "$work/ctl")"}
[ -n "$problem" ] || await 'ok .* - up' || problem='the link is not up again'
kill -KILL -- "-$pid"
finish
verdict 'a tap is deleted behind faults' "$problem"

# refused NAME STATUS PATTERN SPEC...
refused() {
	local name=$1 expected=$2 pattern=$3 problem='' spec options=()
	shift 3
	for spec; do
		options+=(--net "$spec")
	done
	start "${guest[@]}" "${options[@]}" </dev/null
	finish
	[ "$status" = "$expected" ] || problem="exit status is $status, not $expected"
	grep -Eq -- "$pattern" "$work/err" || problem=${problem:-"not said: $pattern"}
	verdict "$name" "$problem"
}
ip tuntap add tap1 mode tap
switched='while the guest runs: xvmm ctl PATH net-switch net0 TAP'
refused 'pcap with vhost-net' 2 "pcap: with vhost=on .*try: vhost=off; .*$switched,pcap=FILE" "tap0,vhost=on,pcap=$work/x"
refused 'faults with vhost-net' 2 "with vhost=on .*$switched,loss=1%" tap0,vhost=on,loss=1%
refused 'pcap with vhost-user' 2 "with vhost-user .*$switched,pcap=FILE" "vhost-user,socket=$work/s,pcap=$work/x"
refused 'one file twice' 1 'another capture is being written to it' "tap0,pcap=$work/x" "tap1,pcap=$work/x"
ln -s "$work/x" "$work/link"
refused 'a symbolic link' 1 'link: a capture is not written by way of a symbolic link' "tap0,pcap=$work/link"
refused 'no such directory' 1 "the capture $work/no/x: No such file" "tap0,pcap=$work/no/x"
refused 'bad faults' 2 "loss: '7' is not a share like 1%" tap0,loss=7

# What checks it, empties nothing.
echo old >"$work/old"
"$XVMM" check --net "tap0,loss=1%,pcap=$work/old" >"$work/out" 2>&1
problem=
[ "$(cat "$work/old")" = old ] || problem='the file is not what it was'
grep -q ' csum (faults) ' "$work/out" || problem=${problem:-'it is not said who takes offloads away'}
verdict 'xvmm check' "$problem"
done_testing
