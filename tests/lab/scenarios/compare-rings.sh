# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: split rings next to packed ones, on both transports
# set: extra
# limit: 2400
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"

exec_vmm() {
	format=${1#*-}
	packed=on
	[ "$format" = packed ] || packed=off
	exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$guest" \
		--memory 256M --net "tap0,transport=${1%-*},packed=$packed"
}

tap_up tap0
guest_has iperf3 qperf
lab_has qperf
compare mmio-split mmio-packed pci-split pci-packed
