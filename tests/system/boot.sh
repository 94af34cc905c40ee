#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every boot entry is taken, with its command line and initrd.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

# hello NAME PROTOCOL ARGUMENT...
hello() {
	local name=$1 protocol=$2
	shift 2
	start "$@" --cmdline 'first=1 status=42 last' </dev/null
	finish
	judge "$name" 42 "^hello by $protocol\$" '^command line: first=1 status=42 last$'
}

if [ "$guest_suffix" = elf ]; then
	hello 'ELF with a PVH note: PVH by default' pvh --kernel "$GUESTS/hello.elf"
	hello 'ELF --boot auto' pvh --kernel "$GUESTS/hello.elf" --boot auto
	hello 'ELF --boot pvh' pvh --kernel "$GUESTS/hello.elf" --boot pvh
	hello 'ELF --boot linux' linux64 --kernel "$GUESTS/hello.elf" --boot linux
	hello 'bzImage' linux64 --kernel "$GUESTS/hello.bzimage"
	hello 'bzImage --boot linux' linux64 --kernel "$GUESTS/hello.bzimage" --boot linux
	boots=('pvh hello.elf' 'linux hello.elf' 'linux hello.bzimage')
else
	gzip -c "$GUESTS/hello.Image" >"$work/hello.gz"
	hello 'Image' linux64 --kernel "$GUESTS/hello.Image"
	hello 'Image --boot linux' linux64 --kernel "$GUESTS/hello.Image" --boot linux
	hello 'Image in gzip' linux64 --kernel "$work/hello.gz"
	boots=('linux hello.Image')
fi

head -c 1234567 /dev/urandom >"$work/initrd"
read -r sum _ < <(sum "$work/initrd")
for boot in "${boots[@]}"; do
	read -r protocol file <<<"$boot"
	start --kernel "$GUESTS/$file" --boot "$protocol" --initrd "$work/initrd" </dev/null
	finish
	judge "initrd of $file, --boot $protocol" 0 "^initrd: 1234567 bytes, sum $sum\$"
done

# Large enough to be loaded while the guest runs, where that can be had; or with memory that can't.
head -c 9876543 /dev/urandom >"$work/large"
read -r sum _ < <(sum "$work/large")
for boot in "${boots[@]}"; do
	for memory in 64M 64M,prealloc=on 64M,shared=on; do
		read -r protocol file <<<"$boot"
		start --kernel "$GUESTS/$file" --boot "$protocol" --initrd "$work/large" \
			--memory "$memory" --cpus 2 </dev/null
		finish
		judge "large initrd of $file, --memory $memory" 0 "^initrd: 9876543 bytes, sum $sum\$"
	done
done

guest hello
judge 'the default command line' 0 '^command line: console=ttyS0$'
guest hello --cmdline ''
judge 'an empty command line' 0 '^command line: $'

done_testing
