# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the tests in this folder. XVMM is the binary under test, GUESTS the folder with the
# test guests. Prints TAP; the exit status is 0, 1 if a case failed, or 77 if nothing can be tested.
set -u

: "${XVMM:?the xvmm binary}" "${GUESTS:?the folder of the test guests}"

limit=20 # seconds that any run of xvmm may take; PATIENCE times as many on a slow machine
# Of a guest's files, the one that xvmm boots on this machine.
case $HOSTTYPE in
aarch64) guest_suffix=Image ;;
*) guest_suffix=elf ;;
esac
prefix=() # of the command that runs it
work=$(mktemp -d)
: >"$work/out" # without it await takes the test for over
trap 'rm -rf "$work"' EXIT

cases=0
failures=0

skip_all() {
	echo "1..0 # SKIP $*"
	exit 77
}

require_kvm() {
	local reason
	[ -e /dev/kvm ] || skip_all "there is no /dev/kvm"
	reason=$({ : <>/dev/kvm; } 2>&1) || skip_all "/dev/kvm can't be opened: ${reason##*: }"
}

# The rest of the script runs in a network namespace of its own, as root in it.
require_network_namespace() {
	[ -z "${IN_NAMESPACE-}" ] || return 0
	[ -e /dev/net/tun ] || skip_all "there is no /dev/net/tun"
	command -v ip >/dev/null || skip_all "there is no ip (package iproute2)"
	local options=-n
	[ "$(id -u)" = 0 ] || options=-Urn
	unshare $options true 2>/dev/null || skip_all "no network namespace can be made here"
	rm -rf "$work"
	IN_NAMESPACE=1 exec unshare $options "$BASH" "$0"
}

# start ARGUMENT...: xvmm in the background, killed after $limit; $pid is the number of a process
# group of its own, and of the process in it that passes signals on. Standard input is the caller's.
start() {
	: >"$work/out" # await is not to see what was there before
	set -m
	timeout --foreground -s KILL "$((limit * ${PATIENCE:-1}))" "${prefix[@]}" "$XVMM" "$@" <&0 >"$work/out" 2>"$work/err" &
	pid=$!
	set +m
}

# The processes of xvmm whose names match $1 as a whole: they stay in one process group.
processes() {
	pgrep -g "$pid" -x "$1"
}

# The process that was started; the VM's, which is the same but in a PID namespace.
first_process() {
	tr -d ' ' <"/proc/$pid/task/$pid/children" # the lab has no pgrep
}
vm_process() {
	pgrep -P "$(first_process)" -x xvmm || first_process
}

# Wait for what was started; sets $status, and $left if a process of it is left behind.
finish() {
	local i

	wait "$pid" 2>/dev/null
	status=$?
	left=
	if kill -0 -- "-$pid" 2>/dev/null; then
		left=yes
		kill -KILL -- "-$pid"
	fi
	# Until they are gone they have what the next one wants: a tap, a socket.
	for ((i = 0; i < limit * ${PATIENCE:-1} * 100; i++)); do
		kill -0 -- "-$pid" 2>/dev/null || break
		sleep 0.01
	done
}

# await PATTERN [FILE]: until the guest has printed a line that matches, or FILE has one; false if
# it doesn't come. A basic regular expression, in which braces are no operators.
await() {
	local i
	for ((i = 0; i < limit * ${PATIENCE:-1} * 50; i++)); do
		grep -qs -- "$1" "${2-$work/out}" && return 0
		[ -e "$work/out" ] || return 1
		sleep 0.02
	done
	return 1
}

# until_true COMMAND...: false if that takes too long.
until_true() {
	local i

	for ((i = 0; i < limit * 50; i++)); do
		! "$@" 2>/dev/null || return 0
		sleep 0.02
	done
	return 1
}

# verdict NAME PROBLEM: one line of TAP, and with a problem, all that is known about it.
verdict() {
	cases=$((cases + 1))
	if [ -z "$2" ]; then
		echo "ok $cases - $1"
		return
	fi
	failures=$((failures + 1))
	echo "not ok $cases - $1"
	echo "# $2"
	sed 's/^/# stdout: /' "$work/out" | head -n 40
	sed 's/^/# stderr: /' "$work/err" | head -n 20
}

# judge NAME STATUS [PATTERN]...: what was run last had this exit status, left no process behind,
# and printed lines that match each extended regular expression.
judge() {
	local name=$1 expected=$2 problem='' pattern
	shift 2
	[ "$status" = "$expected" ] || problem="exit status is $status, not $expected"
	[ -z "$left" ] || problem="a process is left behind"
	for pattern; do
		grep -Eq -- "$pattern" "$work/out" || problem="${problem:-not on standard output: $pattern}"
	done
	verdict "$name" "$problem"
}

# guest_file NAME: what xvmm boots of a guest.
guest_file() {
	echo "$GUESTS/$1.$guest_suffix"
}

# has_guest NAME: whether this machine has that one.
has_guest() {
	[ -e "$(guest_file "$1")" ]
}

# guest NAME ARGUMENT...: run a guest, without input.
guest() {
	local kernel
	kernel=$(guest_file "$1")
	shift
	start --kernel "$kernel" "$@" </dev/null
	finish
}

done_testing() {
	echo "1..$cases"
	[ "$failures" = 0 ]
	exit
}
