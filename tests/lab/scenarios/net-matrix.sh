# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 1 to 4 vCPUs, each with both transports and both datapaths of the kernel's tap: all found, no ping lost
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"
tap_up tap0
for cpus in 1 2 3 4; do
	for transport in mmio pci; do
		for vhost in off on; do
			echo "# $cpus vCPUs, transport=$transport,vhost=$vhost"
			expect_status 0 lab_xvmm '
				net_up
				report
				say ping: $(ping -q -c 20 -i 0.05 10.0.2.1)
			' --cpus "$cpus" --net "tap0,transport=$transport,vhost=$vhost"
			expect_value cpus "$cpus"
			guest_said 'ping:.* 20 packets received' || lab_fail "ping loses packets"
		done
	done
done
