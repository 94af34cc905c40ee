# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 4 parallel streams over 4 queue pairs next to one pair, on PCI with 4 vCPUs
# set: extra
# limit: 900
serve='iperf3 -s'
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"

# exec_vmm PAIRS
exec_vmm() {
	ip addr flush dev tap1
	ip addr flush dev tap4
	ip addr add 10.0.2.1/24 dev "tap$1"
	exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$guest" \
		--memory 256M --cpus 4 --net "tap$1,queues=$1,transport=pci"
}

# rate OPTION...: iperf3 as a server is deaf for a moment after each test.
rate() {
	sleep 1
	ends "$LAB_DIR/bin/iperf3" -c 10.0.2.2 -t "$seconds" -P 4 -f m "$@" >"$LAB_TMP/iperf3.log"
	awk '/^\[SUM\].*receiver/ { print $6 }' "$LAB_TMP/iperf3.log"
}

measure_traffic() {
	measured tcp_in rate
	measured tcp_out rate -R
}

guest_has iperf3
tap_up tap1
tap_up tap4 multi_queue
compare 1 4
