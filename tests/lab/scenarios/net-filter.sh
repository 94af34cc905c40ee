# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: receive filters for addresses, groups and VLANs filter; promiscuous mode and tcpdump see all
# set: extra
# limit: 180
. "$LAB_DIR/lib.sh"

tap_up tap0
guest_has tools
ip neigh add 10.0.2.77 lladdr 02:00:00:00:00:77 dev tap0 # nobody
ip route add 239.0.0.0/8 dev tap0
ip link add link tap0 name tap0.5 type vlan id 5
ip addr add 10.0.5.1/24 dev tap0.5
ip link set tap0.5 up
ip neigh add 10.0.5.77 lladdr ff:ff:ff:ff:ff:ff dev tap0.5 # a broadcast within the VLAN

# in_guest COMMAND: has the guest's shell run it, and waits until it did.
in_guest() {
	step=$((step + 1))
	printf '%s; echo lab: step%s done\n' "$1" "$step" >&9
	guest_wait "^lab: step$step done" 20
}

# arrive COUNT WHAT COMMAND...: of 10 packets that COMMAND sends so many arrive, give or take the
# host's own few.
arrive() {
	expected=$1 what=$2
	shift 2
	in_guest 'say before$(received)'
	before=$(guest_lines before | tail -n 1)
	"$@" >/dev/null || :
	in_guest 'say after$(received)'
	after=$(guest_lines after | tail -n 1)
	n=$((${after#*after} - ${before#*before}))
	echo "$what: $n of 10"
	if [ "$n" -lt "$expected" ] || [ "$n" -ge "$((expected + 6))" ]; then
		lab_fail "expected $expected"
	fi
}

foreign() { ping -q -c 10 -i 0.05 -W 1 10.0.2.77; }
group() { ping -q -c 10 -i 0.05 -W 1 239.1.2.3; }
vlan() { ping -q -c 10 -i 0.05 -W 1 10.0.5.77; }

for transport in mmio pci; do
	echo "# $transport"
	step=0
	lab_start '
		net_up
		load llc stp garp mrp 8021q
		stty -echo
		mkdir -p /etc
		echo root:x:0:0:root:/:/bin/sh >/etc/passwd
		say ready
		while read -r line; do eval $line; done
	' --net "tap0,transport=$transport"
	guest_wait 'lab: ready' 60
	ping -q -c 1 -W 5 10.0.2.2
	arrive 0 'foreign address' foreign
	arrive 0 'group' group
	arrive 0 'VLAN' vlan
	in_guest '/usr/bin/ip maddr add 01:00:5e:01:02:03 dev eth0'
	arrive 10 'group joined' group
	in_guest '/usr/bin/ip maddr del 01:00:5e:01:02:03 dev eth0'
	arrive 0 'group left' group
	in_guest '/usr/bin/ip link add link eth0 name eth0.5 type vlan id 5; ip link set eth0.5 up'
	arrive 10 'VLAN joined' vlan
	in_guest '/usr/bin/ip link del eth0.5'
	arrive 0 'VLAN left' vlan
	in_guest '{ tcpdump -Z root -ni eth0 -c 10 dst 10.0.2.77 >/tmp/dump 2>/tmp/words & }'
	in_guest 'until grep listening /tmp/words; do sleep 0.1; done'
	arrive 10 'foreign address, promiscuous' foreign
	in_guest 'wait; say dumped=$(grep -c 10.0.2.77 /tmp/dump)'
	[ "$(guest_value dumped)" = 10 ] || lab_fail 'tcpdump saw others'
	arrive 0 'foreign address again' foreign
	lab_kill
done
