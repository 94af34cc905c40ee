# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vhost=auto, poll_us; errors without the module or its permission; a tap that goes away
# set: ci
# limit: 300
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"
tap_up tap0

# said TEXT: in xvmm's messages.
said() {
	grep -q -F -e "$1" "$LAB_TMP/xvmm.log" || lab_fail "xvmm does not say: $1"
	echo "xvmm: $(grep -F -e "$1" "$LAB_TMP/xvmm.log")"
}

# boot SPEC: a guest that pings.
boot() {
	echo "# $1"
	expect_status 0 lab_xvmm '
		net_up
		say ping: $(ping -q -c 20 -i 0.05 10.0.2.1)
	' --net "$1"
	guest_said 'ping:.* 20 packets received' || lab_fail "ping loses packets"
}

boot tap0,vhost=auto
said 'vhost=auto: the kernel serves it (vhost-net)'
boot tap0,vhost=on,poll_us=50,mrg_rxbuf=off
boot tap0,vhost=on,poll_us=50,event_idx=off,transport=mmio

echo "# packed=on"
expect_status 1 lab_xvmm true --net tap0,vhost=on,packed=on
said packed=on

echo "# the tap is deleted"
lab_start '
	net_up
	say ready
	ping -q -c 3 -W 1 10.0.2.1
	say alive
	sleep 1000
' --net tap0,vhost=on
guest_wait 'lab: ready' 60
ip link del tap0
guest_wait 'lab: alive' 60
said 'its tap is gone'
lab_kill
tap_up tap0

# A /dev without it, or without its driver.
mkdir "$LAB_TMP/dev" "$LAB_TMP/dev/net"
for device in kvm net/tun null zero urandom; do
	: >"$LAB_TMP/dev/$device"
	mount --bind "/dev/$device" "$LAB_TMP/dev/$device"
done
mount --rbind "$LAB_TMP/dev" /dev
echo "# no /dev/vhost-net"
expect_status 1 lab_xvmm true --net tap0,vhost=on
said 'net0: /dev/vhost-net: No such file or directory; try: modprobe vhost_net'
boot tap0,vhost=auto
said 'vhost=auto: served in-process: net0: /dev/vhost-net: No such file or directory'
