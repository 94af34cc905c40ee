# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: guests on a bridge of OVS-DPDK talk to the host, and to each other
# set: extra
# limit: 400
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

lab_has ovs
guest_has iperf3
ovs_start
ovs_bridge br0
ovs_client_port br0 vu0 "$LAB_TMP/vu0"
ovs_server_port br0 vu1
client=vhost-user,socket=$LAB_TMP/vu0,server=on,mac=52:54:00:00:00:02
server=vhost-user,socket=$OVS_RUNDIR/vu1

# serve NET: a guest at 10.0.2.2, with an iperf3 server.
serve() {
	lab_start 'net_up; iperf3 -s' --net "$1"
	guest_wait 'Server listening' 120
	wait_for 90 ping -c 1 -W 1 10.0.2.2
}

serve "$server"
peer_rates dpdkvhostuser
lab_kill
serve "$client"
peer_rates dpdkvhostuserclient

# The one that serves goes on.
LAB_VM=second-
lab_start '
	net_up 10.0.2.3
	ping -q -c 20 -i 0.1 -W 5 10.0.2.2
	iperf3 -c 10.0.2.2 -t 3 -f m
	iperf3 -c 10.0.2.2 -t 3 -f m -R
	say done
' --net "$server,mac=52:54:00:00:00:03"
guest_wait ' 0% packet loss' 120
guest_wait 'lab: done' 60
sed -n 's/^\[ *[0-9]*\]\(.*\)receiver.*/guest to guest:\1/p' "$LAB_TMP/${LAB_VM}console.log"
[ "$(grep -c 'bits/sec.*receiver' "$LAB_TMP/${LAB_VM}console.log")" = 2 ] || lab_fail "iperf3"
