# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vhost-net with 4 queue pairs for 4 vCPUs, each carrying traffic, on both transports
# set: extra
# limit: 300
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"
# How many vhost-nets xvmm has.
vhosts() {
	for fd in "/proc/$LAB_PID/fd/"*; do
		readlink "$fd"
	done | grep -c /dev/vhost-net
}

tap_up tap0 multi_queue
guest_has iperf3 tools
for transport in mmio pci; do
	echo "# $transport"
	lab_start '
		net_up
		say ready
		iperf3 -s &
		read line
		say_queues 4
		ethtool -L eth0 combined 2
		say ping2: $(ping -q -c 20 -i 0.05 10.0.2.1)
		ethtool -L eth0 combined 4
		say ping4: $(ping -q -c 20 -i 0.05 10.0.2.1)
		say done
		sleep 1000
	' --net "tap0,vhost=on,queues=4,transport=$transport" --cpus 4
	guest_wait 'lab: ready' 100
	[ "$(vhosts)" = 4 ] || lab_fail "not 4 vhost-nets"
	sleep 1
	iperf3 -c 10.0.2.2 -t 4 -P 8 -f m | sed -n 's/^\[SUM\]\(.*\)receiver/host to guest: \1/p'
	sleep 1
	iperf3 -c 10.0.2.2 -t 4 -P 8 -f m -R | sed -n 's/^\[SUM\]\(.*\)receiver/guest to host: \1/p'
	echo go on >&9
	guest_wait 'lab: done' 60
	for queue in rx0 rx1 rx2 rx3 tx0 tx1 tx2 tx3; do
		n=$(guest_value "$queue")
		echo "$queue: $n packets"
		[ "$n" -gt 0 ] || lab_fail "$queue carries nothing"
	done
	guest_said 'ping2:.* 20 packets received' || lab_fail "ping2 loses packets"
	guest_said 'ping4:.* 20 packets received' || lab_fail "ping4 loses packets"
	lab_kill
done
