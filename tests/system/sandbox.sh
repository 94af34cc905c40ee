#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which threads of xvmm are confined, as the kernel tells. What they may do: unit.test_sandbox; the
# threads of rings: net_test.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

# What isn't confined of the threads whose names match $1.
open_threads() {
	local child status name line

	child=$(pgrep -P "$pid" -x xvmm) || echo "there is no xvmm"
	for status in "/proc/$child/task"/*/status; do
		name=$(sed -n 's/^Name:\t//p' "$status")
		[[ $name =~ $1 ]] || continue
		for line in 'CapInh:0+' 'CapPrm:0+' 'CapEff:0+' 'CapAmb:0+' NoNewPrivs:1 Seccomp:2; do
			tr -d '\t' <"$status" | grep -Eqx "$line" || echo "$name: no $line"
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

start --kernel "$GUESTS/spin.elf" --sandbox off </dev/null
await ready
confined=$(open_threads '')
kill -KILL -- "-$pid"
finish
verdict '--sandbox off' "$([[ $confined == *'vcpu0: no Seccomp:2'* ]] || echo "a thread is confined")"

done_testing
