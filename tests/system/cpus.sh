#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All CPUs are told, start, and are who they are told to be; on x86 CPUID has what Linux wants of KVM.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

for cpus in 1 2 3 4 8; do
	guest smp --cpus "$cpus" --cmdline "cpus=$cpus"
	judge "--cpus $cpus" 0
done
if [ -e "$GUESTS/smp.bzimage" ]; then
	start --kernel "$GUESTS/smp.bzimage" --cpus 4 --cmdline cpus=4 </dev/null
	finish
	judge '--cpus 4 of a bzImage' 0
fi
if has_guest cpuid; then
	guest cpuid
	judge 'CPUID and kvm-clock' 0
fi

done_testing
