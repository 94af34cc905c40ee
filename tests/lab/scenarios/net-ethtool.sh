# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: ethtool shows what the NIC offers and changes it, on both transports
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"

tap_up tap0 multi_queue
guest_has tools
key=$(printf '%02x:' $(seq 1 40))
for transport in mmio pci; do
	echo "# $transport"
	expect_status 0 lab_xvmm "
		net_up
		say csum=\$(setting -k tx-checksumming)
		say tso=\$(setting -k tcp-segmentation-offload)
		say gro_hw=\$(setting -k rx-gro-hw)
		say vlan_filter=\$(setting -k rx-vlan-filter)
		ethtool -K eth0 tx off rx-gro-hw off
		say csum_off=\$(setting -k tx-checksumming)
		say gro_hw_off=\$(setting -k rx-gro-hw)
		say channels=\$(setting -l Combined)
		ethtool -L eth0 combined 2
		say channels_set=\$(setting -l Combined)
		ethtool -C eth0 rx-usecs 50 rx-frames 8 tx-frames 1
		say usecs=\$(setting -c rx-usecs)
		say frames=\$(setting -c rx-frames)
		ethtool -X eth0 hkey ${key%:}
		ethtool -X eth0 equal 2
		say key=\$(ethtool -x eth0 | grep -A 1 key: | tail -n 1)
		say queues=\$(ethtool -x eth0 | grep -E '^ +[0-9]+:' | cut -d : -f 2 | tr -s ' ' '\n' | sort -u | tr -d '\n')
		say ping=\$(ping -q -c 20 -i 0.05 10.0.2.1 | grep -c ' 0%')
		say stats=\$(ethtool -S eth0 | grep -c '^ *[rt]x_queue_[0-3]_packets')
	" --net "tap0,queues=4,transport=$transport" --cpus 4
	expect_value csum on
	expect_value tso on
	expect_value gro_hw on
	expect_value vlan_filter 'on [fixed]'
	expect_value csum_off off
	expect_value gro_hw_off off
	expect_value channels 4
	expect_value channels_set 2
	expect_value usecs 50
	expect_value frames 8
	expect_value key "${key%:}"
	expect_value queues 01
	expect_value ping 1
	expect_value stats 4
done
