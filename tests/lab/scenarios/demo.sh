# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: what examples/first-boot shows: a boot in full, ping and iperf3 from the guest, power-off; and
# shows: when what of it happened
# set: ci
# limit: 150
. "$LAB_DIR/lib.sh"
LAB_QUICK=
set -o pipefail

tap_up tap0
guest_has iperf3
iperf3 -s -1 >"$LAB_TMP/iperf3.log" &

cmdline=$(guest_cmdline 'guest_mark 1; net_up; guest_mark 2; ping -c 3 10.0.2.1; iperf3 -c 10.0.2.1 -t 3 -f m' | sed 's/ quiet / /')
echo "xvmm --kernel bzImage --initrd guest.cpio --net tap0 --timeline timeline.json"
"$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$cmdline" --net tap0 \
	--timeline "$LAB_TMP/timeline.json" |
	tr -d '\r' | tee "$LAB_TMP/console.log"
guest_said ' 0% packet loss' || lab_fail "ping"
guest_said 'receiver$' || lab_fail "iperf3"

echo "xvmm timeline timeline.json"
"$LAB_XVMM" timeline "$LAB_TMP/timeline.json" | tee "$LAB_TMP/timeline.log"
# in_order MARK...
in_order() {
	at=0
	for mark in "$@"; do
		line=$(grep -n " $mark\$" "$LAB_TMP/timeline.log") || lab_fail "no mark: $mark"
		[ "${line%%:*}" -gt "$at" ] || lab_fail "out of order: $mark"
		at=${line%%:*}
	done
}
in_order exec arguments-parsed kvm-ready memory-ready cpus-ready devices-ready sandbox \
	first-guest-instruction first-console-byte 'guest-mark 1' 'driver net0' 'driver-ok net0' 'guest-mark 2' \
	guest-ended
# Before or after the first instruction, as L1's kernel can (docs/timeline.md).
in_order devices-ready kernel-loaded first-console-byte
in_order 'driver-ok net0' 'first-packet-out net0' guest-ended
in_order 'driver-ok net0' 'first-packet-in net0' guest-ended
