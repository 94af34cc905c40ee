#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# With a PID namespace (vmm/pid_namespace.h) xvmm ends as without one, whoever is signalled or dies,
# and leaves nothing behind; also for who isn't root. What its processes may do: sandbox.sh.
# shellcheck disable=SC2317 # until_true reaches them
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

jail=(--sandbox 'on,namespaces=on')
guest hello "${jail[@]}"
! grep -q 'build with sanitizers' "$work/err" || skip_all "a build with sanitizers can't have a sandbox"
socket=$work/control
ip link set lo up
network=()
! "$XVMM" check --net user | grep -Eq 'built without it|libslirp.*cannot open' || network=(--net user)
[ ${#network[@]} = 0 ] || echo '# without user-mode networking'

# in_state PID PATTERN: which State its process has.
in_state() {
	grep -q "^State:.$2" "/proc/$1/status"
}

nobody_left() {
	! kill -0 -- "-$pid" 2>/dev/null
}

# vm GUEST OPTION...: in the background, ready; sets $first and $vm.
vm() {
	local kernel=$GUESTS/$1.elf
	shift
	start --kernel "$kernel" "${jail[@]}" "$@"
	await '^ready' || verdict "$kernel is ready" 'it is not'
	first=$(first_process)
	vm=$(vm_process)
}

# over NAME STATUS: it ended like this; all others soon after, by themselves.
over() {
	local problem=
	wait "$pid" 2>/dev/null
	status=$?
	[ "$status" = "$2" ] || problem="exit status is $status, not $2"
	until_true nobody_left || problem=${problem:-"left: $(processes '.*' | xargs ps -o pid,comm,state)"}
	finish
	verdict "$1" "$problem"
}

# --- the guest's end ---

for value in 0 77 255; do
	guest hello "${jail[@]}" --cmdline "status=$value"
	judge "debug-exit $value" "$value" hello
done
guest pvpanic "${jail[@]}"
judge 'pvpanic' 3
guest spin "${jail[@]}" --timeout 0.5
judge '--timeout' 124
guest hello "${jail[@]}" --net nowhere0
judge 'a tap that is not there' 1
guest hello "${jail[@]}" --net user,id=a --net user,id=a
judge 'two devices of one name' 2

# --- signals ---

for signal in TERM INT; do
	vm button </dev/null
	kill "-$signal" "$first"
	over "SIG$signal is the power button" 0
	vm spin --cpus 2 </dev/null
	kill "-$signal" "$first"
	until_true grep -q 'power button was pressed' "$work/err"
	kill "-$signal" "$first"
	over "a second SIG$signal ends the guest" $((128 + $(kill -l "$signal")))
done

# As of a whole process group: each process has it, and one of them first. The guest goes on.
mkfifo "$work/keys"
exec 3<>"$work/keys"
no_signals() {
	in_state "$first" S && [ "$(cat "/proc/$first/status" "/proc/$vm/status" | grep -c '^ShdPnd:.0*$')" = 2 ]
}
for order in 'first vm' 'vm first'; do
	vm echo --cmdline 'count=4 echo=on' <"$work/keys"
	read -r one other <<<"$order"
	kill -INT "${!one}"
	until_true grep -q 'power button was pressed' "$work/err"
	kill -INT "${!other}"
	until_true no_signals 2>/dev/null
	echo keys >&3
	over "one SIGINT to both counts once: $order" 0
done
for process in first vm; do
	for signal in HUP QUIT ABRT SEGV KILL; do
		vm spin "${network[@]}" --control "$socket" </dev/null
		kill "-$signal" "${!process}"
		over "SIG$signal to the process $process" $((128 + $(kill -l "$signal")))
		# If the first one couldn't pass it on, nobody was left to remove it.
		case $process$signal in
		firstSEGV | firstKILL) rm -f "$socket" ;;
		esac
		verdict 'and the control socket is removed' "$([ ! -e "$socket" ] || echo 'it is not')"
		rm -f "$socket"
	done
done
vm spin </dev/null
kill -KILL "$(processes xvmm-init)"
over 'SIGKILL to PID 1' 137

# A helper that hangs: it has five seconds. In a session of its own the end of the first process
# doesn't continue it, as it does in a group that becomes an orphan by that.
prefix=(setsid)
vm spin --control "$socket" </dev/null
group_gone() {
	! pgrep -g "$first" >/dev/null
}
kill -STOP "$(pgrep -g "$first" -x xvmm-broker)"
kill -KILL "$vm"
over 'a broker that hangs' 137
until_true group_gone
verdict 'and is killed' "$(pgrep -g "$first" -l)"
prefix=()
rm -f "$socket"

vm spin </dev/null
problem=
kill -TSTP "$first"
until_true in_state "$vm" T || problem="the VM's process goes on"
until_true in_state "$first" T || problem=${problem:-'the first process does not stop'}
kill -CONT "$first"
until_true in_state "$vm" '[RS]' || problem=${problem:-"the VM's process does not go on"}
verdict 'SIGTSTP and SIGCONT' "$problem"
kill -TERM "$first"
until_true grep -q 'power button was pressed' "$work/err"
kill -TERM "$first"
over 'and the end' 143

# --- users ---

if [ "$(id -u)" != 0 ] || ! setpriv --clear-groups --reuid 65534 true 2>/dev/null; then
	echo '# nobody else to be here'
	done_testing
fi

# It becomes another one only later: before that it waits for a reader of its console.
mkfifo "$work/console"
has_filter() {
	grep -q '^Seccomp:.2' "/proc/$(first_process)/status"
}
for signal in TERM KILL; do
	jail=(--sandbox 'on,namespaces=on,user=65534')
	start --kernel "$GUESTS/spin.elf" "${jail[@]}" --console "file:$work/console" </dev/null
	until_true has_filter 2>/dev/null
	kill "-$signal" "$(first_process)"
	over "SIG$signal, while it may become another user" $((128 + $(kill -l "$signal")))
	vm spin </dev/null
	if [ $signal = TERM ]; then
		kill -TERM "$first"
		until_true grep -q 'power button was pressed' "$work/err"
	fi
	kill "-$signal" "$first"
	over "SIG$signal, when it is another user" $((128 + $(kill -l "$signal")))
done
jail=(--sandbox 'on,namespaces=on')

# Of a group that /dev/kvm belongs to besides their own, and with a tap of theirs.
someone=(setpriv --reuid 65534 --regid 65534 --groups "$(stat -c %g /dev/kvm)")
chmod 711 "$work"
if ! "${someone[@]}" sh -c ": <>/dev/kvm && '$XVMM' --version >/dev/null" 2>/dev/null; then
	echo '# another user has no /dev/kvm'
	done_testing
fi
ip tuntap add tap0 mode tap user 65534
ip link set tap0 up
mkdir "$work/theirs"
chown 65534 "$work/theirs"
prefix=("${someone[@]}")
vm spin --net tap0,id=wan "${network[@]}" --control "$work/theirs/control" </dev/null
problem=
grep -Pqx "NSpid:\t$vm\t2" "/proc/$vm/status" || problem=$(grep NSpid "/proc/$vm/status")
for process in $(processes 'xvmm.*'); do
	for line in 'CapPrm:0+' 'CapEff:0+' NoNewPrivs:1 Seccomp:2; do
		tr -d '\t' <"/proc/$process/status" | grep -Eqx "$line" || problem="$(cat "/proc/$process/comm"): no $line"
	done
done
"$XVMM" ctl "$work/theirs/control" net-switch wan tap0,vhost=off >"$work/ctl" 2>&1 ||
	problem=${problem:-"no switch: $(cat "$work/ctl")"}
"${someone[@]}" "$XVMM" ctl "$work/theirs/control" quit >"$work/ctl" 2>&1 || problem=${problem:-$(cat "$work/ctl")}
verdict 'another user, with a tap of theirs and /dev/kvm by a group' "$problem"
over 'and the end' 0
guest hello --sandbox "on,namespaces=on,chroot=$work/theirs" --cmdline status=7
judge 'another user, chrooted' 7 hello
guest hello --sandbox on,namespaces=on,user=12345
judge 'another user that wants to be a third one' 1
prefix=("${someone[@]}" --inh-caps +net_admin --ambient-caps +net_admin)
guest hello "${jail[@]}"
[ "$status" = 1 ] || status="$status, not 1"
verdict 'another user with a capability' \
	"$(grep -q '^xvmm: --sandbox: namespaces: xvmm has capabilities, ' "$work/err" || echo "nothing is said; status $status")"

done_testing
