#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The configuration file: what --print-config writes means the same command line.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

# config ARGUMENT...: what is printed goes to $work/out.
config() {
	"$XVMM" "$@" --print-config >"$work/out" 2>"$work/err"
	status=$?
	left=
}

config --kernel "$GUESTS/hello.elf" --memory 64M --net fd=9 --net user --cmdline 'a="b" c' --panic-line on
judge 'a command line as a file' 0 '"kernel": ".*/hello.elf"' '"cmdline": "a=.*b.* c"' '^    "user"$'
mv "$work/out" "$work/config"
config --config "$work/config"
verdict 'the file as a file' "$(diff "$work/config" "$work/out")"
config --config "$work/config" --memory 96M --net tap5
judge 'the command line wins' 0 '"memory": "96M"' '"net": "tap5"' '"panic-line": "on"'

echo "{\"kernel\": \"$GUESTS/hello.elf\", \"memory\": \"64M\", \"cmdline\": \"from a file\"}" >"$work/config"
start --config "$work/config" </dev/null
finish
judge 'a guest of a file' 0 '^command line: from a file$'
start --config "$work/config" --cmdline 'not from it' </dev/null
finish
judge 'but for what the command line says' 0 '^command line: not from it$'
start check --config "$work/config" </dev/null
finish
judge 'check takes one, too' 0 '^ok +kernel '
config --config "$work/nowhere"
judge 'a file that is not there' 2
verdict 'is named' "$(grep -q -- "--config $work/nowhere: No such file or directory" "$work/err" || cat "$work/err")"
done_testing
