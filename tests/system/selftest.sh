#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# xvmm selftest: the conformance suite, and its own command line.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

limit=150

start selftest </dev/null
finish
judge 'all cases pass' 0 '^1\.\.[0-9]+$' '^ok [0-9]+ - mmio split 1: ' ' 0 failed$'
# What conformance.md says of a case is what the case says of itself.
sed -n 's/^\(not \)\?ok [0-9]* - mmio split \([0-9]*\): \([0-9.]*\) \(.*\)/| \2 | \3 | \4 |/;
	s/ # SKIP .*/ |/; /^|/p' "$work/out" >"$work/told"
grep -E '^\| [0-9]+ \|' "$(dirname "$0")/../../docs/conformance.md" |
	sed -E 's/^(\| [^|]* \| [^|]* \| [^|]* \|).*/\1/' >"$work/listed"
verdict 'docs/conformance.md lists the cases as they are' \
	"$(diff "$work/listed" "$work/told" | head -n 5)"

start selftest --transport=mmio --packed off </dev/null
finish
judge 'one run of them' 0
verdict 'and no other' "$(grep -E 'ok [0-9]+ - (pci|mmio packed)' "$work/out")"
for arguments in '--transport isa' '--transports=mmio' '--packed maybe' '--packed=' '--packed' '--kernel x'; do
	# shellcheck disable=SC2086
	start selftest $arguments </dev/null
	finish
	judge "refused: $arguments" 2
done
start selftest --help </dev/null
finish
judge 'help' 0 'xvmm selftest'

done_testing
