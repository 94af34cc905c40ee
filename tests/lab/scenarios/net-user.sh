# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: user-mode networking on both transports: DHCP, ping, TCP to the host and from it
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

lab_has slirp
guest_has iperf3
iperf3 -s >/dev/null &
for transport in mmio pci; do
	echo "# $transport"
	lab_start '
		net_dhcp
		say address=$(ip -4 -o addr show dev eth0)
		say route=$(ip route)
		say dns=$(cat /etc/resolv.conf)
		say ping=$(ping -c 5 -i 0.1 -q 10.0.2.2)
		iperf3 -c 10.0.2.2 -t 2 -f m
		iperf3 -c 10.0.2.2 -t 2 -f m -R
		say listening
		nc -l -p 22 -e cat
		say served=yes
		sleep 1000
	' --net "user,transport=$transport,hostfwd=tcp:127.0.0.1:2222-:22"
	guest_wait 'lab: listening' 90
	guest_lines ''
	grep -E 'sender|receiver' "$LAB_TMP/console.log"
	guest_said 'address=.* 10.0.2.15/24' || lab_fail 'no address'
	guest_said 'route=default via 10.0.2.2' || lab_fail 'no route'
	guest_said 'dns=nameserver 10.0.2.3' || lab_fail 'no name server'
	guest_said 'ping=.* 0% packet loss' || lab_fail 'packets are lost'
	[ "$(grep -c ' receiver' "$LAB_TMP/console.log")" = 2 ] || lab_fail 'iperf3 has no result'
	head -c 1000000 /dev/urandom >"$LAB_TMP/data"
	nc 127.0.0.1 2222 <"$LAB_TMP/data" >"$LAB_TMP/back" || lab_fail 'no connection to the guest'
	cmp "$LAB_TMP/data" "$LAB_TMP/back" || lab_fail 'what comes back is something else'
	guest_wait 'served=yes' 10
	lab_kill
done
