# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: DPDK's testpmd serves a guest's rings: it answers pings, and carries iperf3 to a tap
# set: extra
# limit: 400
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

lab_has testpmd
guest_has iperf3
socket=$LAB_TMP/vhost

# pings OPTIONS: the guest's, all answered.
pings() {
	lab_start 'net_up; ping -q -c 100 -i 0.02 -W 5 10.0.2.9' \
		--net "vhost-user,socket=$socket$1"
	guest_wait ' 0% packet loss' 120
	expect_status 0 lab_wait
}

for options in packed=off,transport=pci packed=on,transport=mmio; do
	echo "# $options"
	testpmd_start "${options#*=*=}" "$socket" icmpecho
	pings ",$options"
	peer_kill "$TESTPMD_PID"
done

echo '# xvmm listens'
testpmd_start pmdclient "$socket,client=1" icmpecho
pings ,server=on
peer_kill "$TESTPMD_PID"

testpmd_start pmdtap "$socket" io
testpmd_tap_up pmdtap
lab_start 'net_up; iperf3 -s' --net "vhost-user,socket=$socket"
guest_wait 'Server listening' 120
wait_for 90 ping -c 1 -W 1 10.0.2.2
peer_rates testpmd
