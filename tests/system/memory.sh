#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest has the memory that it was given, on both sides of the hole below 4 GiB.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

for size in 32M 64M 512M 3071M 3G 3073M 4G 5G; do
	guest memmap --memory "$size" --cmdline "memory=$size"
	judge "--memory $size" 0
done
# Each boot entry tells it in its own way.
if [ "$guest_suffix" = elf ]; then
	for boot in pvh linux; do
		guest memmap --memory 5G --boot "$boot" --cmdline memory=5G
		judge "--memory 5G --boot $boot" 0
	done
	start --kernel "$GUESTS/memmap.bzimage" --memory 5G --cmdline memory=5G </dev/null
	finish
	judge '--memory 5G of a bzImage' 0
fi

for option in shared=on shared=off prealloc=on prealloc=off hugepages=off shared=on,prealloc=on; do
	guest memmap --memory "256M,$option" --cmdline memory=256M
	judge "--memory 256M,$option" 0
done

free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
for shared in on off; do
	name="--memory 64M,hugepages=on,shared=$shared"
	guest memmap --memory "64M,hugepages=on,shared=$shared" --cmdline memory=64M
	if [ "${free:-0}" -ge 32 ]; then
		judge "$name" 0
	else
		# As few as there are must be told, not left to a SIGBUS in the middle of the run.
		judge "$name, where there are no huge pages" 1
	fi
done

# Sets $asked: whether the mapping of the guest's 64 MiB asks for the kernel's huge pages: yes, no, or nothing while it
# is in pieces, because some of it is being loaded.
# shellcheck disable=SC2317 # by until_true
asked_is_known() {
	asked=$(awk '/^Size:/ { guest = $2 == 65536 } /^VmFlags:/ && guest { print / hg( |$)/ ? "yes" : "no" }' \
		"/proc/$(first_process)/smaps")
	[ -n "$asked" ]
}

# asks NAME YES-OR-NO ARGUMENT...
asks() {
	local name=$1 expected=$2 asked=''
	shift 2
	start --kernel "$(guest_file spin)" "$@" </dev/null
	await '^ready$'
	until_true asked_is_known
	kill -KILL -- "-$pid"
	finish
	verdict "$name" "$([ "$asked" = "$expected" ] || echo "huge pages are asked for: '$asked', not $expected")"
}
if [ -d /sys/kernel/mm/transparent_hugepage ]; then
	head -c 5M /dev/zero >"$work/large"
	asks 'a small guest asks for no huge pages' no --memory 64M
	asks 'a large guest asks for huge pages' yes --initrd "$work/large" --memory 64M
	asks 'a large guest with shared memory asks for them' yes --initrd "$work/large" \
		--memory 64M,shared=on
else
	echo '# SKIP: huge pages: this kernel has none'
fi

done_testing
