# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: devices on virtio-mmio and virtio-pci in one VM, each of them carrying packets
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

for n in 0 1 2; do
	ip tuntap add tap$n mode tap vnet_hdr
	ip addr add 10.0.$n.1/24 dev tap$n
	ip link set tap$n up
done
# shellcheck disable=SC2016 # for the guest's shell
lab_xvmm '
	net_up 2>/dev/null
	ip addr flush dev eth0
	for nic in /sys/class/net/eth*; do
		number=$(sed s/.*://  $nic/address)
		number=$((0x$number))
		ip addr add 10.0.$number.2/24 dev ${nic##*/}
		ip link set ${nic##*/} up
		say nic$number $(readlink -f $nic/device/..)
		say ping$number: $(ping -q -c 20 -i 0.05 10.0.$number.1)
	done
' --transport pci --net tap0,mac=02:00:00:00:00:00 \
	--net tap1,mac=02:00:00:00:00:01,transport=mmio --net tap2,mac=02:00:00:00:00:02
guest_lines nic
guest_lines ping
guest_said 'nic0 .*/pci0000:00/0000:00:01.0' || lab_fail "net0 is not on PCI"
guest_said 'nic1 .*/\(LNRO0005:00\|10100000.virtio\)' || lab_fail "net1 is not on MMIO"
guest_said 'nic2 .*/pci0000:00/0000:00:02.0' || lab_fail "net2 is not on PCI"
for n in 0 1 2; do
	guest_said "ping$n:.* 20 packets received" || lab_fail "packets of net$n"
done
