#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way in which a guest ends has its exit status, and none leaves anything behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

for value in 0 1 3 77 124 255; do
	guest hello --cmdline "status=$value"
	judge "debug-exit $value" "$value"
	: >"$work/said"
	[ "$value" = 0 ] || echo "xvmm: the guest ended itself with status $value" >"$work/said"
	verdict "debug-exit $value is told from a status of xvmm's own" "$(diff "$work/said" "$work/err")"
done
guest exception
judge 'guest sees an exception, and says so' 101 '^exception (6|60) ' # #UD; BRK
guest poweroff
judge 'power-off, by ACPI or PSCI' 0
guest reboot
judge 'reset, by ACPI or PSCI' 0
guest pvpanic
judge 'pvpanic' 3
if has_guest triple-fault; then
	guest triple-fault
	judge 'triple fault' 3
	for cpus in 1 4; do
		guest triple-fault --cpus "$cpus"
		judge "triple fault with $cpus CPUs" 3
	done
fi

# The kernel's words for a panic, from a guest that sends back what it gets, and waits for more.
printf '%s\n' 'KKernel panic - not Kernel panic - not syncing: a test' more >"$work/words"
said=(--kernel "$(guest_file echo)" --cmdline 'count=1000 echo=on')
start "${said[@]}" --panic-line on <"$work/words"
finish
judge 'a panic on the console' 3 'not syncing: a test' '^more'
start "${said[@]}" --panic-line off --timeout 3 <"$work/words"
finish
judge 'a panic on the console, which is not looked at' 124
start --kernel "$(guest_file echo)" --cmdline 'count=40 echo=on' --panic-line on < <(head -c 40 "$work/words")
finish
judge 'almost a panic on the console' 0

# ended NAME STATUS MILLISECONDS MILLISECONDS: and how long it took since $began.
ended() {
	local ms=$(($(date +%s%3N) - began))
	judge "$1" "$2"
	if ((ms < $3 || ms > $4)); then
		verdict "$1: in time" "took $ms ms"
	else
		verdict "$1: in time" ''
	fi
}

for mode in halt=off halt=on; do
	began=$(date +%s%3N)
	guest spin --cmdline "$mode" --timeout 1
	ended "--timeout 1 of a guest with $mode" 124 1000 10000
done
guest hello --timeout 10
judge 'a guest that ends before --timeout' 0

# The first SIGTERM or SIGINT presses the power button, the second ends the guest.
for signal in TERM INT; do
	start --kernel "$(guest_file button)" </dev/null
	await '^ready'
	kill "-$signal" "$pid"
	finish
	judge "SIG$signal is the power button, and the guest powers off" 0 '^pressed$'
done
for cpus in 1 4; do
	start --kernel "$(guest_file spin)" --cpus "$cpus" </dev/null
	await '^ready'
	kill -TERM "$pid"
	await 'power button was pressed' "$work/err"
	began=$(date +%s%3N)
	kill -TERM "$pid"
	finish
	ended "a second SIGTERM ends a guest with $cpus CPUs that doesn't listen" $((128 + 15)) 0 10000
done
start --kernel "$(guest_file spin)" --cpus 4 </dev/null
await '^ready'
began=$(date +%s%3N)
kill -HUP "$pid"
finish
ended 'SIGHUP ends xvmm' 129 0 10000

done_testing
