# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: MTU 9000 both ways, on both transports, with mergeable buffers and without
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"

tap_up tap0
ip link set tap0 mtu 9000
for options in transport=mmio transport=pci transport=pci,mrg_rxbuf=off; do
	echo "# $options"
	expect_status 0 lab_xvmm "
		net_up
		say mtu=\$(cat /sys/class/net/eth0/mtu)
		say ping=\$(ping -q -s 8972 -c 20 -i 0.05 10.0.2.1 | grep -c ' 0%')
	" --net "tap0,mtu=9000,$options"
	expect_value mtu 9000
	expect_value ping 1
done
