#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Open vSwitch with DPDK as the vhost-user back-end of a test guest: packets go round through its
# bridge, by both types of ports, transports and ring formats.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace
vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
[ -x "$vswitchd" ] || skip_all "there is no $vswitchd (package openvswitch-switch-dpdk)"

limit=60
export OVS_RUNDIR=$work/ovs OVS_LOGDIR=$work/ovs OVS_DBDIR=$work/ovs OVS_SYSCONFDIR=$work/ovs
export XDG_RUNTIME_DIR=$work/ovs # DPDK's
database=unix:$work/ovs/db.sock
daemons=()
mkdir "$work/ovs"
trap '{ kill -KILL "${daemons[@]}"; wait "${daemons[@]}"; rm -rf "$work"; } 2>/dev/null' EXIT

vsctl() {
	ovs-vsctl --db="$database" --timeout=30 "$@"
}

# One thread polls, and sleeps when there is nothing to do. A pool of buffers for each port: the one
# that all would share doesn't fit twice in this memory, and a port needs it anew when a guest comes.
start_switch() {
	ovsdb-tool create "$work/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
	ovsdb-server "$work/ovs/conf.db" --remote="p$database" 2>"$work/ovs/database.log" &
	daemons+=($!)
	until_true [ -S "$work/ovs/db.sock" ] || verdict 'the database listens' 'it does not'
	vsctl --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true \
		other_config:dpdk-lcore-mask=0x1 other_config:pmd-cpu-mask=0x1 \
		other_config:pmd-maxsleep=250 other_config:per-port-memory=true \
		other_config:dpdk-extra="--no-huge --legacy-mem -m 256 --no-pci --file-prefix=xvmm-ovs-$$"
	"$vswitchd" "$database" >"$work/ovs/switch.log" 2>&1 &
	daemons+=($!)
	vsctl add-br br0 -- set bridge br0 datapath_type=netdev
	# What comes from a port goes back to it.
	ovs-ofctl add-flow "$work/ovs/br0.mgmt" actions=in_port
}

# rounds: how many packets have come back to the guest.
rounds() {
	sed -n 's/^received \([0-9]*\) .*/\1/p' "$work/out"
}

# go_round TYPE SPEC: a guest on a port of this type, by the --net of xvmm.
go_round() {
	local packed transport problem

	for packed in off on; do
		for transport in mmio pci; do
			start --kernel "$GUESTS/net.elf" --memory 32M --timeout 50 </dev/null \
				--cmdline "mode=pump seconds=1 mrg=on indirect=on packed=$packed" \
				--net "$2,transport=$transport,packed=$packed"
			finish
			problem=
			[ "$status" = 0 ] || problem="status $status"
			[ "$(rounds)" -gt 1000 ] || problem=${problem:-"$(rounds) packets came back"}
			verdict "packets go round, $1, $transport packed=$packed: $(rounds)" "$problem"
			[ -z "$problem" ] || grep -v VHOST_CONFIG "$work/ovs/switch.log" | tail -n 20 | sed 's/^/# /'
		done
	done
}

start_switch
vsctl add-port br0 vu0 -- set Interface vu0 type=dpdkvhostuser
until_true [ -S "$work/ovs/vu0" ] || verdict 'the port listens' 'it does not'
go_round dpdkvhostuser "vhost-user,socket=$work/ovs/vu0"
vsctl add-port br0 vu1 -- set Interface vu1 type=dpdkvhostuserclient \
	options:vhost-server-path="$work/vu1"
go_round dpdkvhostuserclient "vhost-user,socket=$work/vu1,server=on"
done_testing
