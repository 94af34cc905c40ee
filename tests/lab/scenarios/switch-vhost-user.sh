# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a guest's rings move between xvmm and testpmd, two ports of a switch, and TCP goes on
# set: extra
# limit: 1200
. "$LAB_DIR/lib.sh"
# shellcheck source=../switch.sh
. "$LAB_DIR/switch.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

lab_has testpmd
guest_has iperf3 numbered tools
ip link add br0 type bridge
ip addr add 10.0.2.1/24 dev br0
ip link set br0 up
ip tuntap add tap0 mode tap vnet_hdr
testpmd_start pmd0 "$LAB_TMP/vhost" io
wait_for 30 ip link show pmd0
for port in tap0 pmd0; do
	ip link set "$port" master br0 up
done
lossless=no rto_min=200ms
switch_under_traffic 100 br0 tap0,switch=on "vhost-user,socket=$LAB_TMP/vhost" tap0
