# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: what examples/first-boot shows: a boot in full, ping and iperf3 from the guest, power-off
# set: ci
# limit: 150
. "$LAB_DIR/lib.sh"
set -o pipefail

tap_up tap0
guest_has iperf3
iperf3 -s -1 >"$LAB_TMP/iperf3.log" &

cmdline=$(guest_cmdline 'net_up; ping -c 3 10.0.2.1; iperf3 -c 10.0.2.1 -t 3 -f m' | sed 's/ quiet / /')
echo "xvmm --kernel bzImage --initrd guest.cpio --net tap0"
"$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$cmdline" --net tap0 |
	tr -d '\r' | tee "$LAB_TMP/console.log"
guest_said ' 0% packet loss' || lab_fail "ping"
guest_said 'receiver$' || lab_fail "iperf3"
