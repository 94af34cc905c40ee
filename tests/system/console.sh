#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The serial console: interrupts both ways, a lot of input, its other ends.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

# talk FILE ARGUMENT...: run xvmm, and give it FILE on its standard input when the guest is ready.
talk() {
	local file=$1
	shift
	: >"$work/out" # what awaits begins before start: the guest before this one was ready, too
	start "$@" < <(await "^ready" && cat "$file")
	finish
}

echo -n ping >"$work/ping"
talk "$work/ping" --kernel "$(guest_file irq)"
judge 'interrupts of the serial port' 0

# All byte values, those of the terminal's escape key among them.
limit=60 # an exit for every few bytes: 12 s where KVM emulates ring 0
head -c 1M /dev/urandom >"$work/data"
read -r sum _ < <(sum "$work/data")
talk "$work/data" --kernel "$(guest_file echo)" --cmdline "count=1M wait=poll"
judge 'a megabyte of input at once' 0 "^1048576 bytes, sum $sum\$"
limit=20

# By interrupt, which takes longer where KVM emulates the handler.
head -c 64K "$work/data" >"$work/some"
talk "$work/some" --kernel "$(guest_file echo)" --cmdline 'count=64K echo=on'
problem=
{ echo ready; cat "$work/some"; } | cmp -sn $((6 + 65536)) - "$work/out" ||
	problem='what came back is not what was sent'
verdict '64 KiB there and back' "$problem"

talk /dev/null --kernel "$(guest_file hello)"
judge 'end of input is not the end of the guest' 0 '^hello'

guest hello --console off --cmdline status=42
problem=
[ -s "$work/out" ] && problem='there is output'
judge '--console off' 42
verdict '--console off: nothing on standard output' "$problem"

guest hello --console "file:$work/console" --cmdline status=42
problem=
[ -s "$work/out" ] && problem='there is output'
grep -q '^hello' "$work/console" || problem='nothing in the file'
judge '--console file:' 42
verdict '--console file: has the output, standard output has nothing' "$problem"

guest hello --console file:/dev/full
judge 'a file that has not all of the output is a failure' 1
verdict 'and it is said' "$(grep -q -- '--console: the file has not all' "$work/err" || cat "$work/err")"
guest hello --console file:/dev/full --cmdline status=42
judge 'but what the guest says counts more' 42

start --kernel "$(guest_file hello)" --cmdline status=42 <&-
finish
judge 'standard input is closed' 42

done_testing
