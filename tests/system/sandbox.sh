#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which threads of xvmm are confined, as the kernel tells. What they may do: unit.test_sandbox; the
# threads of rings: net_test.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

# What isn't confined of the threads whose names match $1. The broker has capabilities.
open_threads() {
	local process status name line

	processes xvmm >/dev/null || echo "there is no xvmm"
	for process in $(processes 'xvmm.*'); do
		for status in "/proc/$process/task"/*/status; do
			name=$(sed -n 's/^Name:\t//p' "$status")
			[[ $name =~ $1 ]] || continue
			for line in 'CapInh:0+' 'CapPrm:0+' 'CapEff:0+' 'CapAmb:0+' NoNewPrivs:1 Seccomp:2; do
				[[ $name$line != xvmm-brokerCap* ]] || continue
				tr -d '\t' <"$status" | grep -Eqx "$line" || echo "$name: no $line"
			done
		done
	done
}

# confined NAME THREADS OPTION...: those that match are, with xvmm's OPTIONs.
confined() {
	local name=$1 threads=$2 problem

	shift 2
	start --kernel "$GUESTS/spin.elf" --cpus 2 "$@" </dev/null
	await ready || problem='the guest is not ready'
	problem=${problem-$(open_threads "$threads")}
	kill -KILL -- "-$pid"
	finish
	verdict "$name" "${problem//$'\n'/, }"
}

guest hello --sandbox on
! grep -q 'build with sanitizers' "$work/err" || skip_all "a build with sanitizers can't have a sandbox"

confined 'all threads' ''
confined 'all threads, with a control socket' '' --control "$work/control"
confined 'all threads, with vhost-user' '' --net "vhost-user,socket=$work/vhost"
confined 'all threads, with vhost-user, listening' '' --net "vhost-user,socket=$work/vhost,server=on"

# --- what the process gives up (vmm/jail.h) ---

ip tuntap add tap0 mode tap
ip address add 10.0.0.1/24 dev tap0
ip link set tap0 up
mkdir "$work/empty"
chmod 0755 "$work" "$work/empty"

# The guest answers ARP.
answers() {
	local i

	ip neighbour flush dev tap0
	echo >/dev/udp/10.0.0.2/9
	for ((i = 0; i < limit * 50; i++)); do
		! ip neighbour show 10.0.0.2 dev tap0 | grep -q lladdr || return 0
		sleep 0.02
	done
	return 1
}

# jailed NAME OPTIONS: a guest gets packets, before and after a switch, with --sandbox on,OPTIONS; and
# what_is_wrong finds nothing.
jailed() {
	local name=$1 problem=''

	start --kernel "$GUESTS/net.elf" --net tap0 --control "$work/control" --sandbox "on,$2" \
		--cmdline 'mode=reply ip=10.0.0.2' </dev/null
	await features || problem='the guest is not ready'
	[ -n "$problem" ] || answers || problem='the guest does not answer'
	[ -n "$problem" ] || "$XVMM" ctl "$work/control" net-switch net0 tap0,vhost=off >/dev/null 2>"$work/ctl" ||
		problem="no switch: $(cat "$work/ctl")"
	[ -n "$problem" ] || answers || problem='the guest does not answer after the switch'
	child=$(vm_process) || problem=${problem:-$(cat "$work/err")}
	[ -n "$problem" ] || problem=$(what_is_wrong)
	[ -n "$problem" ] || problem=$(open_threads '')
	kill -KILL -- "-$pid"
	finish
	verdict "$name" "${problem//$'\n'/, }"
}

# has_ids KIND ID: or what it has.
has_ids() {
	grep -Pqx "$1:\t$2\t$2\t$2\t$2" "/proc/$child/status" || grep "^$1:" "/proc/$child/status"
}

has_own_namespaces() {
	local kind

	for kind in user net mnt ipc uts cgroup; do
		[ "$(readlink "/proc/$child/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ] || echo "$kind is ours"
	done
	has_pid_namespace
}

# The VM's process is the second in a PID namespace, and all but the first process are in it.
has_pid_namespace() {
	local process namespace

	grep -Pqx "NSpid:\t$child\t2" "/proc/$child/status" || grep '^NSpid:' "/proc/$child/status"
	namespace=$(readlink "/proc/$child/ns/pid")
	[ "$namespace" != "$(readlink "/proc/self/ns/pid")" ] || echo 'pid is ours'
	for process in $(processes 'xvmm.*'); do
		[ "$process" = "$(first_process)" ] || [ "$(readlink "/proc/$process/ns/pid")" = "$namespace" ] ||
			echo "$(cat "/proc/$process/comm") is in another PID namespace"
	done
	[ "$(processes 'xvmm.*' | wc -l)" -ge 3 ] || echo 'a process is missing'
	# Each has what it waits for, and the standard ones.
	[ "$(find "/proc/$(first_process)/fd" -type l | wc -l)" = 5 ] || ls -l "/proc/$(first_process)/fd"
	[ "$(find "/proc/$(processes xvmm-init)/fd" -type l | wc -l)" = 4 ] || ls -l "/proc/$(processes xvmm-init)/fd"
}

has_root() {
	[ "$(readlink "/proc/$child/root")" = "$work/empty" ] || readlink "/proc/$child/root"
}

if [ "$(id -u)" = 0 ] && setpriv --clear-groups --reuid 65534 true 2>/dev/null; then
	what_is_wrong() {
		has_ids Uid 65534
		has_ids Gid 12345
		grep -Pqx 'Groups:\t ' "/proc/$child/status" || grep Groups "/proc/$child/status"
	}
	jailed 'as another user' user=65534,group=12345
	what_is_wrong() {
		has_ids Uid 65534
		has_root
		has_own_namespaces
	}
	jailed 'as another user, chrooted, in namespaces' "user=65534,chroot=$work/empty,namespaces=on"
	what_is_wrong() { has_root; }
	jailed chrooted "chroot=$work/empty"
else
	echo '# no other user to become here'
fi
what_is_wrong() { has_own_namespaces; }
jailed 'in namespaces' namespaces=on

guest hello --sandbox "on,chroot=$work/nowhere"
verdict 'a root directory that is not there' \
	"$(grep -q "^xvmm: --sandbox: chroot=$work/nowhere: No such file" "$work/err" || echo 'is not said to be missing')"

start --kernel "$GUESTS/spin.elf" --sandbox off </dev/null
await ready
confined=$(open_threads '')
kill -KILL -- "-$pid"
finish
verdict '--sandbox off' "$([[ $confined == *'vcpu0: no Seccomp:2'* ]] || echo "a thread is confined")"

done_testing
