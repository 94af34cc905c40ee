# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vhost-net on both transports: iperf3 both ways, 16 MiB each way arrive as they were
# set: extra
# limit: 300
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"

# rate WHAT IPERF3-OPTION...: what the receiver counted.
rate() {
	what=$1
	shift
	iperf3 -c 10.0.2.2 -t 3 -f m "$@" >"$LAB_TMP/iperf3.log"
	echo "$what:$(sed -n 's/^\[ *[0-9]*\]\(.*\)receiver/\1/p' "$LAB_TMP/iperf3.log")"
}

# How many vhost-nets xvmm has.
vhosts() {
	for fd in "/proc/$LAB_PID/fd/"*; do
		readlink "$fd"
	done | grep -c /dev/vhost-net
}

tap_up tap0
guest_has iperf3
head -c $((16 << 20)) /dev/urandom >"$LAB_TMP/data"
sum=$(md5sum <"$LAB_TMP/data" | cut -c 1-32)
for transport in mmio pci; do
	echo "# $transport"
	nc -l -p 5002 -e dd of="$LAB_TMP/back" bs=64k &
	listener=$!
	lab_start '
		net_up
		say ping: $(ping -q -c 50 -i 0.05 10.0.2.1)
		say ready
		nc -l -p 5001 -e dd of=/tmp/data bs=64k
		say in=$(md5sum </tmp/data | cut -c 1-32)
		nc 10.0.2.1 5002 </tmp/data
		rm /tmp/data
		iperf3 -s
	' --net "tap0,vhost=on,transport=$transport" --memory 512M
	guest_wait 'lab: ready' 60
	guest_said 'ping:.* 50 packets received' || lab_fail "ping loses packets"
	# The kernel has the rings, and no thread of xvmm does its work.
	[ "$(vhosts)" = 1 ] || lab_fail "no vhost-net"
	! grep -q '^net0-' "/proc/$LAB_PID"/task/*/comm || lab_fail "threads of the in-process datapath"
	sleep 1
	nc 10.0.2.2 5001 <"$LAB_TMP/data"
	wait "$listener"
	expect_value in "$sum"
	cmp "$LAB_TMP/data" "$LAB_TMP/back"
	sleep 1
	rate 'TCP host to guest'
	rate 'TCP guest to host' -R
	rate 'UDP host to guest' -u -b 20M -l 1400
	rate 'UDP guest to host' -u -b 20M -l 1400 -R
	lab_kill
	# But for what it says of a load that takes long.
	! grep -v ' so far$' "$LAB_TMP/xvmm.log" || lab_fail "xvmm has something to say"
done
