# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 4 queue pairs for 4 vCPUs, each carrying traffic, on both transports
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

tap_up tap0 multi_queue
guest_has iperf3 tools
for transport in mmio pci; do
	echo "# $transport"
	lab_start '
		net_up
		iperf3 -s -1 -p 5201 &
		iperf3 -s -1 -p 5202 &
		say ready
		wait
		say_queues 4
		say done
		sleep 1000
	' --net "tap0,queues=4,transport=$transport" --cpus 4
	guest_wait 'lab: ready' 60
	sleep 1
	iperf3 -c 10.0.2.2 -p 5201 -t 4 -P 8 -f m | sed -n 's/^\[SUM\]\(.*\)receiver/host to guest: \1/p'
	iperf3 -c 10.0.2.2 -p 5202 -t 4 -P 8 -f m -R | sed -n 's/^\[SUM\]\(.*\)receiver/guest to host: \1/p'
	guest_wait 'lab: done' 30
	for queue in rx0 rx1 rx2 rx3 tx0 tx1 tx2 tx3; do
		n=$(guest_value "$queue")
		echo "$queue: $n packets"
		[ "$n" -gt 0 ] || lab_fail "$queue carries nothing"
	done
	lab_kill
done
