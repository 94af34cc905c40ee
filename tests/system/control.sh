#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The control socket of a running VM: xvmm ctl, and QMP as any client speaks it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${UNIX_CAT:?the program unix_cat}"
require_kvm
require_network_namespace

ip tuntap add tap0 mode tap
ip link set tap0 up
socket=$work/control
chmod 711 "$work"

# vm GUEST ARGUMENT...: a VM with a control socket, in the background, ready.
vm() {
	local kernel=$GUESTS/$1.elf
	shift
	start --kernel "$kernel" --control "$socket" "$@" </dev/null
	await '^ready' || verdict "the guest $kernel is ready" 'it is not'
}

# ctl ARGUMENT...: one command.
ctl() {
	timeout "$limit" "${as[@]}" "$XVMM" ctl "$socket" "$@" >"$work/reply" 2>"$work/complaint"
	ctl_status=$?
}
as=()

# replied NAME [PATTERN]...: the last command succeeded, and printed lines like these, or nothing.
replied() {
	local name=$1 problem='' pattern
	shift
	[ "$ctl_status" = 0 ] || problem="status $ctl_status: $(cat "$work/complaint")"
	[ $# != 0 ] || [ ! -s "$work/reply" ] || problem="it printed: $(cat "$work/reply")"
	for pattern; do
		grep -Eq -- "$pattern" "$work/reply" ||
			problem=${problem:-"not printed: $pattern, but: $(cat "$work/reply")"}
	done
	verdict "$name" "$problem"
}

# refused NAME STATUS PATTERN: the last command failed, with one line of words on standard error.
refused() {
	local problem=
	[ "$ctl_status" = "$2" ] || problem="status is $ctl_status, not $2"
	[ ! -s "$work/reply" ] || problem='there is something on standard output'
	[ "$(grep -c '' "$work/complaint")" = 1 ] || problem='the message is not one line'
	grep -Eq -- "^xvmm: .*($3)" "$work/complaint" ||
		problem="${problem:-does not match $3}: $(cat "$work/complaint")"
	verdict "$1" "$problem"
}

# gone NAME: no socket is left.
gone() {
	local problem=
	[ ! -e "$socket" ] || problem='the socket is still there'
	verdict "$1" "$problem"
}

# --- xvmm ctl ---

vm spin
ctl query-status
replied 'query-status' '"status": "running"' '"running": true'
ctl query-commands
replied 'query-commands' '"xvmm-net-switch"' '"qmp_capabilities"'
ctl query-net
replied 'query-net without any' '^\[\]$'
ctl frobnicate
refused 'an unknown command' 1 "no command 'frobnicate'; try: query-commands\$"
ctl net-swich
refused 'a misspelt command' 1 "no command 'net-swich'; try: net-switch\$"
ctl xvmm-query-nte
refused 'a misspelt command with the prefix' 1 "no command 'xvmm-query-nte'; try: xvmm-query-net\$"
ctl query-status verbose=true
refused 'an argument too much' 1 'verbose.*no arguments'
ctl query-status verbose
refused 'an argument without a value' 2 "'verbose' is not NAME=VALUE"
ctl set_link net0
refused 'an argument that is missing' 2 'set_link: its up is missing'
ctl set_link net0 maybe
refused 'a link that is neither' 2 "'maybe' is neither on nor off"
ctl set_link net0 on now
refused 'set_link with too much' 2 "'now' is too much"
ctl set_link net0 off
refused 'set_link of no device' 1 "no network device 'net0'"
ctl set_link name=net0 up=1
refused 'an argument of another type' 1 'up.*integer|integer.*up'
ctl net-announce net0
refused 'net-announce of no device' 1 "no network device 'net0'"
ctl net-switch net0 tap0
refused 'net-switch of no device' 1 "no network device 'net0'"
ctl net-switch net0 tap0,sokcet=x
refused 'net-switch with a wrong SPEC' 1 "net-switch: unknown key 'sokcet'.*a tap: vhost"
start_of_second=$(stat -c %i "$socket")
"$XVMM" --kernel "$GUESTS/hello.elf" --control "$socket" </dev/null >"$work/second" 2>&1
ctl_status=$?
mv "$work/second" "$work/complaint"
: >"$work/reply"
refused 'a socket where a VM listens' 1 "control: $socket: another process listens there"
[ "$(stat -c %i "$socket")" = "$start_of_second" ]
ctl_status=$?
replied 'which stays'
ctl closefd x
refused 'closefd of no name' 1 "File descriptor named 'x' not found"
ctl getfd x
refused 'getfd without a descriptor' 2 'getfd: its N is missing'
ctl getfd x 99
refused 'getfd of a descriptor that is not open' 1 'descriptor 99 is not open'
ctl getfd 1x 0
refused 'getfd with a name that is a number' 1 'not starting with a digit'
ctl getfd fdname=x
refused 'getfd without its descriptor, by name' 1 'No file descriptor supplied'
ctl getfd x 0
replied 'getfd'
ctl closefd x
replied 'and closefd'
ctl quit
replied 'quit'
finish
judge 'ends the VM' 0
gone 'and the socket'

vm spin
ctl inject-nmi
if [ "$(uname -m)" = x86_64 ]; then
	replied 'inject-nmi'
	finish
	judge 'ends a guest that spins, and takes it for an exception' 101 '^exception 2 '
else
	refused 'inject-nmi' 1 'no NMIs on this architecture'
	ctl quit
	finish
fi

vm button
ctl system_powerdown
replied 'system_powerdown'
finish
judge 'presses the power button' 0 '^pressed$'

for transport in mmio pci; do
	vm link --net "tap0,id=wan,mac=02:00:00:00:00:07,transport=$transport"
	ctl query-net
	replied "query-net, $transport" '"id": "wan"' '"backend": "tap0"' '"link-up": true' \
		'"mac": "02:00:00:00:00:07"' '"datapath": "in-process"'
	ctl xvmm-net-stats
	replied 'xvmm-net-stats' '"queue": "rx0"' '"dropped": ' '"needs-reset": false'
	ctl metrics
	replied 'metrics' '^# TYPE xvmm_net_packets_total counter$' \
		'^xvmm_net_packets_total\{device="wan",queue="tx0"\} [0-9]+$' \
		'^xvmm_net_dropped_packets_total\{device="wan",queue="rx0",cause="no-buffers"\} [0-9]+$' \
		'^xvmm_net_up\{device="wan",datapath="in-process"\} 1$' \
		'^xvmm_vcpu_exits_total\{vcpu="0"\} [1-9][0-9]*$'
	ctl metrics more
	refused 'metrics takes nothing' 2 "metrics: 'more' is too much"
	ctl set_link wan off
	replied 'set_link off'
	await 'down' || verdict 'the guest sees it' 'it does not'
	ctl query-net
	replied 'query-net tells' '"link-up": false'
	ctl set_link name=wan up=true
	replied 'set_link on, by names'
	await 'up$' || verdict 'the guest sees it' 'it does not'
	ctl net-announce wan
	replied 'net-announce'
	finish
	judge "link and announcement on $transport" 0 'acknowledged$'
done

# It shows what the guest does until that ends.
vm spin --net tap0
"$XVMM" ctl "$socket" top >"$work/top" 2>&1 &
top=$!
await '^  tx0 ' "$work/top" || verdict 'top shows a queue' "it does not: $(cat "$work/top")"
ctl top 0
refused 'top without an interval' 2 "'0' is not a number from 1"
ctl top 1 now
refused 'top with too much' 2 "'now' is too much"
ctl xvmm-cpu-stats
replied 'xvmm-cpu-stats' '"cpu-index": 0' '"exits": [1-9][0-9]*'
ctl quit
wait "$top"
ctl_status=$?
mv "$work/top" "$work/reply"
: >"$work/complaint"
replied 'top' '^vcpu0 +[0-9]+ exits/s$' '^net0: in-process, link up$' '^  rx0 .* -$'
finish

# asked: what top wants to know waits for the broker.
asked() {
	local i
	for ((i = 0; i < limit * 50; i++)); do
		[ -z "$(ss -xH | awk -v socket="$socket" '$5 == socket && $3 > 0')" ] || return 0
		sleep 0.02
	done
	return 1
}

# A VM that has ended, and a broker that hasn't: an error is the last that top hears. In a session
# of its own the VM's end doesn't continue the broker (pid_namespace.sh).
prefix=(setsid)
vm spin
prefix=()
broker=$(pgrep -g "$(first_process)" -x xvmm-broker) # not with sanitizers
if [ -n "$broker" ] && command -v ss >/dev/null; then
	"$XVMM" ctl "$socket" top >"$work/top" 2>"$work/complaint" &
	top=$!
	await '^vcpu0 ' "$work/top" ||
		verdict 'top shows a vCPU' "it does not: $(cat "$work/complaint")"
	kill -STOP "$broker"
	asked || verdict 'top asks again' 'it does not'
	kill -KILL "$(first_process)"
	wait "$pid" 2>/dev/null
	kill -CONT "$broker"
	wait "$top"
	ctl_status=$?
	mv "$work/top" "$work/reply"
	replied 'top, when the VM is killed' '^vcpu0 '
else
	kill -KILL "$(first_process)"
fi
finish
rm -f "$socket"

vm spin --net tap0 --sandbox off
ctl net-announce net0
refused 'no driver runs that could announce' 1 'net0: its driver does not run'

# --- sockets that are none ---

# xvmm itself, the child of timeout: that waits until it is gone, and its sockets with it. In the
# sandbox its broker would remove the socket.
read -r child <"/proc/$pid/task/$pid/children"
kill -KILL "$child"
finish
ctl query-status
refused 'a VM that was killed' 1 "$socket: nobody listens there"
vm spin
ctl quit
replied 'its socket is replaced'
finish
ctl query-status
refused 'no socket' 1 "$socket: there is no such socket"
: >"$socket"
ctl query-status
refused 'a file' 1 "$socket: it is no socket"
start --kernel "$GUESTS/hello.elf" --control "$socket" </dev/null
finish
judge 'a file in the way' 1
grep -q 'exists and is no socket' "$work/err"
ctl_status=$?
replied 'is named'
rm "$socket"
ctl
refused 'no command' 2 'ctl --help'
"$XVMM" ctl --help >"$work/reply" 2>"$work/complaint"
ctl_status=$?
replied 'ctl --help' 'net-switch ID SPEC'

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	umask 000
	vm spin
	umask 022
	as=(setpriv --reuid 65534 --clear-groups --inh-caps=-all)
	"${as[@]}" "$XVMM" --version >/dev/null 2>&1 && {
		ctl query-status
		refused "another user" 1 "$socket: permission denied"
	}
	as=()
	ctl quit
	finish
fi

# --- stop and cont ---

# thread_time: what $thread of the VM has taken, in clock ticks.
thread_time() {
	cut -d ' ' -f 14,15 "/proc/$(first_process)/task/$thread/stat"
}

# A guest that sends back what it gets, and waits for interrupts meanwhile.
mkfifo "$work/in"
exec 5<>"$work/in"
start --kernel "$GUESTS/echo.elf" --control "$socket" --cmdline "count=6 echo=on" <"$work/in"
await '^ready' || verdict 'the guest is ready' 'it is not'
printf ab >&5
await '^ab' || verdict 'the guest answers' 'it does not'
ctl stop
replied stop
ctl stop
replied 'stop once more'
ctl query-status
replied 'it is paused' '"paused"' '"running": false'
printf cd >&5
sleep 0.3
problem=
grep -q '^abc' "$work/out" && problem='it answers'
verdict 'it stands still' "$problem"
ctl cont
replied cont
await '^abcd' || verdict 'it goes on' 'it does not'
for _ in 1 2 3 4 5 6 7 8 9 10; do
	ctl stop
	ctl cont
done
printf ef >&5
exec 5>&-
finish
judge 'stopped and gone on' 0 '^abcdef6 bytes'

# One whose CPU is never idle.
vm spin
ctl stop
ctl query-cpus-fast
replied "its CPU's thread" '"thread-id": [1-9]' '"target": "x86_64"'
thread=$(sed -n 's/.*"thread-id": \([0-9]*\).*/\1/p' "$work/reply")
before=$(thread_time)
sleep 0.3
problem=
[ "$(thread_time)" = "$before" ] || problem='it takes time'
ctl cont
for ((i = 0; i < 100; i++)); do
	now=$(thread_time)
	[ -z "$now" ] || [ "$now" = "$before" ] || break
	sleep 0.1
done
[ "$i" -lt 100 ] || problem=${problem:-'it takes none afterwards'}
ctl quit
finish
verdict 'a busy CPU stands still, and goes on' "$problem"

# What ends it ends it while it stands still.
vm spin --cpus 4
ctl stop
replied 'stop with 4 CPUs'
ctl quit
finish
judge 'quit while it stands still' 0
vm spin
ctl system_reset
replied 'system_reset'
finish
judge 'ended by system_reset' 0

# --- QMP ---

# listen N: a client that has negotiated, and stays; what it gets is in $work/client$N.
listen() {
	printf '{"execute":"qmp_capabilities","id":"%s"}\n' "$1" |
		timeout "$limit" "$UNIX_CAT" "$socket" >"$work/client$1" &
	await '^{"return": {}, "id": "'"$1"'"}' "$work/client$1" ||
		verdict "client $1 negotiates" "$(cat "$work/client$1")"
}

# told NAME FILE PATTERN: a line of QMP arrived.
told() {
	local problem=
	await "$3" "$2" || problem="no line matches $3: $(cat "$2")"
	verdict "$1" "$problem"
}

vm button
listen 1
listen 2
told 'the greeting' "$work/client1" \
	'^{"QMP": {"version": {"qemu": {.*"capabilities": \["oob"\]}}'
ctl system_powerdown
finish
wait
for client in 1 2; do
	stamp='^{"timestamp": {"seconds": [0-9]*, "microseconds": [0-9]*}, "event"'
	told "POWERDOWN to client $client" "$work/client$client" "$stamp: \"POWERDOWN\"}"
	told "SHUTDOWN to client $client" "$work/client$client" \
		"$stamp: \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}"
done
vm spin
listen 3
ctl quit
finish
wait
told 'SHUTDOWN by quit' "$work/client3" \
	'"SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}'

# Commands that wait in the connection, from who has closed it.
vm spin
printf '%s' '{"execute":"qmp_capabilities"}' '{"execute":"qu' 'it"}' |
	timeout "$limit" "$UNIX_CAT" "$socket" >"$work/client4"
finish
judge 'quit in one stream' 0

done_testing
