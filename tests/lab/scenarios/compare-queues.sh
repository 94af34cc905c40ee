# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 4 parallel streams over 4 queue pairs next to one pair, on PCI with 4 vCPUs
# set: extra
# limit: 600
. "$LAB_DIR/lib.sh"

rounds=5
guest_has iperf3
tap_up tap1
tap_up tap4 multi_queue
ip addr flush dev tap4

# iperf3 as a server is deaf for a moment after each test.
rate() {
	sleep 1
	iperf3 -c 10.0.2.2 -t 3 -P 4 -f m "$@" | awk '/^\[SUM\].*receiver/ { print $6 }'
}

for round in $(seq "$rounds"); do
	for tap in tap1 tap4; do
		pairs=4
		[ "$tap" = tap4 ] || pairs=1
		ip addr flush dev tap1
		ip addr flush dev tap4
		ip addr add 10.0.2.1/24 dev "$tap"
		lab_start 'net_up; say ready; iperf3 -s' --net "$tap,queues=$pairs,transport=pci" --cpus 4
		guest_wait 'lab: ready' 90
		rate >>"$LAB_TMP/$tap.in"
		rate -R >>"$LAB_TMP/$tap.out"
		lab_kill
	done
	echo "# round $round: one $(tail -n 1 "$LAB_TMP/tap1.in")/$(tail -n 1 "$LAB_TMP/tap1.out")" \
		"four $(tail -n 1 "$LAB_TMP/tap4.in")/$(tail -n 1 "$LAB_TMP/tap4.out") Mbit/s in/out"
done
for way in in out; do
	for tap in tap1 tap4; do
		echo "TCP $way, $tap: $(sort -n "$LAB_TMP/$tap.$way" | sed -n "$((rounds / 2 + 1))p") Mbit/s"
	done
done
