#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# User-mode networking: datagrams by a forwarded port to a guest and back, whoever starts xvmm; the
# process that it has; what goes wrong.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace
ip link set lo up
chmod 755 "$work"

reason=$("$XVMM" check --net user | grep -E 'built without it|libslirp.*cannot open') && skip_all "$reason"
guest=(--kernel "$GUESTS/net.elf" --cmdline 'mode=reply ip=10.0.2.15')

# ask PORT TEXT: a datagram to the guest; false if it doesn't come back.
ask() {
	local answer='' i
	exec 4<>"/dev/udp/127.0.0.1/$1"
	for ((i = 0; i < 50; i++)); do
		printf %s "$2" >&4
		answer=$(timeout 1 dd bs=1000 count=1 <&4 2>/dev/null)
		[ -z "$answer" ] || break
		sleep 0.05 # refused at once as long as nobody listens
	done
	exec 4>&-
	[ "$answer" = "$2" ]
}

# The processes of user-mode networks.
helper() {
	pgrep -x xvmm-user-net -P "$(first_process)"
}

# status_of PID KEY: a line of its /proc/PID/status.
status_of() {
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

# Sanitizers ask for more of the kernel: such a build filters nothing.
sanitized=$("$XVMM" --kernel "$GUESTS/hello.elf" --sandbox on </dev/null 2>&1 | grep 'build with sanitizers')
port=7007
for options in transport=pci transport=mmio,packed=on mtu=9000; do
	start "${guest[@]}" --net "user,$options,hostfwd=udp:127.0.0.1:$port-:7" --control "$work/c" </dev/null
	problem=
	ask "$port" 'is it there' || problem='no answer'
	child=$(helper) || problem=${problem:-'no process of its own'}
	if [ -n "$child" ]; then
		[ "$(status_of "$child" CapEff)" = 0000000000000000 ] || problem="CapEff $(status_of "$child" CapEff)"
		[ "$(status_of "$child" CapPrm)" = 0000000000000000 ] || problem="CapPrm $(status_of "$child" CapPrm)"
		if [ -z "$sanitized" ]; then
			[ "$(status_of "$child" NoNewPrivs)" = 1 ] || problem='privileges can be gained'
			[ "$(status_of "$child" Seccomp)" = 2 ] || problem='no filter'
		fi
		# In a user namespace of one user there is no nobody.
		[ -z "$(awk '$3 > 65534' /proc/self/uid_map)" ] ||
			[ "$(status_of "$child" Uid | cut -f 1)" = 65534 ] || problem='it is not nobody'
	fi
	"$XVMM" ctl "$work/c" query-net 2>/dev/null | grep -q '"backend": "user"' || problem=${problem:-'query-net names something else'}
	"$XVMM" ctl "$work/c" net-switch net0 user 2>"$work/ctl" && problem='a switch to user succeeds'
	grep -q 'a process of its own' "$work/ctl" || problem=${problem:-"of a switch: $(cat "$work/ctl")"}
	"$XVMM" ctl "$work/c" quit >/dev/null
	finish
	[ "$status" = 0 ] || problem=${problem:-"exit status is $status"}
	[ -z "$left" ] || problem=${problem:-'a process is left behind'}
	[ ! -s "$work/err" ] || problem=${problem:-'it said something'}
	verdict "datagrams by a forwarded port, $options" "$problem"
done

# Two networks, each with its process; neither keeps the other's socket open.
start "${guest[@]}" --net "user,hostfwd=udp::7001-:7" --net "user,hostfwd=udp::7002-:7" </dev/null
problem=
ask 7001 one || problem='no answer'
[ "$(helper | wc -l)" = 2 ] || problem=${problem:-'not two processes'}
kill -TERM "$(first_process)"
await 'power button was pressed' "$work/err" || problem=${problem:-'no power button was pressed'}
kill -TERM "$(first_process)"
finish
[ "$status" = 143 ] || problem=${problem:-"exit status is $status, not 143"}
[ -z "$left" ] || problem=${problem:-'a process is left behind'}
verdict 'two networks' "$problem"

# Its process dies: that is the guest's cable that is pulled, not the VM's end.
start --kernel "$GUESTS/link.elf" --net user --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
kill -KILL "$(helper)"
await 'ok .* - down' || problem=${problem:-'the link is not down'}
ip tuntap add tap0 mode tap
ip link set tap0 up
"$XVMM" ctl "$work/c" net-switch net0 tap0 >/dev/null 2>"$work/ctl" || problem=${problem:-"no switch: $(cat "$work/ctl")"}
[ -z "$problem" ] || kill -KILL -- "-$pid"
finish
[ "$status" = 0 ] || problem=${problem:-"exit status is $status"}
grep -q '^xvmm: net0: user has gone: the link is down' "$work/err" || problem=${problem:-'nothing is said of it'}
verdict 'its process dies' "$problem"

# Who leaves a network for a tap leaves nothing of it.
start --kernel "$GUESTS/spin.elf" --net user,hostfwd=udp:127.0.0.1:7003-:7 --control "$work/c" </dev/null
problem=
await ready || problem='the guest is not ready'
child=$(helper)
"$XVMM" ctl "$work/c" net-switch net0 tap0 >/dev/null 2>"$work/ctl" || problem=${problem:-"no switch: $(cat "$work/ctl")"}
for ((i = 0; i < 100; i++)); do
	case $(status_of "$child" State 2>/dev/null) in
	'' | Z*) break ;;
	esac
	sleep 0.05
done
[ "$i" -lt 100 ] || problem=${problem:-'its process goes on'}
"$XVMM" ctl "$work/c" quit >/dev/null
finish
[ "$status" = 0 ] || problem=${problem:-"exit status is $status"}
[ -z "$left" ] || problem=${problem:-'a process is left behind'}
verdict 'a switch to a tap' "$problem"

# refused NAME STATUS PATTERN ARGUMENT...
refused() {
	local name=$1 expected=$2 pattern=$3 problem=
	shift 3
	start "${guest[@]}" "$@" </dev/null
	finish
	[ "$status" = "$expected" ] || problem="exit status is $status, not $expected"
	grep -Eq -- "$pattern" "$work/err" || problem=${problem:-"not said: $pattern"}
	[ "$(wc -l <"$work/err")" = 1 ] || problem=${problem:-'not one line'}
	[ -z "$left" ] || problem=${problem:-'a process is left behind'}
	verdict "$name" "$problem"
}

exec 5<>/dev/udp/127.0.0.1/9
taken=$(awk '$3 ~ /:0009$/ { print $2 }' /proc/net/udp | sed 's/.*://')
taken=$((16#$taken))
refused 'a port is taken' 1 "listening on udp:127.0.0.1:$taken: Address already in use" \
	--net "user,hostfwd=udp:127.0.0.1:$taken-:7"
exec 5>&-
refused 'a bad forward' 2 "--net: hostfwd: 'tcp:22' is not tcp:" --net user,hostfwd=tcp:22
refused 'one pair of queues' 2 "unknown key 'queues' \\(known keys of user: hostfwd..., restrict, mac" --net user,queues=2

# Without libslirp: in a mount namespace where it can't be read.
library=$(ldconfig -p | sed -n 's/^[[:space:]]*libslirp\.so\.0 .*=> //p' | head -n 1)
if [ -n "$library" ] && unshare -m mount --bind /dev/null "$(realpath "$library")" 2>/dev/null; then
	# shellcheck disable=SC2016 # that shell's
	prefix=(unshare -m sh -c 'mount --bind /dev/null "$0" && exec "$@"' "$(realpath "$library")")
	refused 'no libslirp' 1 'user-mode networking: .*libslirp.*; try: apt install libslirp0' --net user
	guest hello
	prefix=()
	judge 'libslirp is not needed for other guests' 0
fi
done_testing
