# shellcheck shell=dash source=lib.sh
# SPDX-License-Identifier: Apache-2.0
#
# Other programs that serve a guest's rings by vhost-user: DPDK's testpmd and Open vSwitch with
# DPDK. Scenarios say lab_has testpmd, or ovs. They end with the scenario, or by peer_kill.

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	patience=$1
	deadline=$(($(now_ms) + patience * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$deadline" ] || lab_fail "not within $patience s: $*"
		sleep 0.1
	done
}

# peer_kill PID: it has no time to say goodbye.
peer_kill() {
	kill -KILL "$1"
	wait "$1" 2>/dev/null || :
}

# Leave the CPU with the number 1 to testpmd, which polls on it: what the scenario starts from now on
# runs on others. Beside a poller, packets wait for the scheduler's next tick.
leave_cpu_1() {
	cpus=$(grep -c '^processor' /proc/cpuinfo)
	[ "$cpus" -lt 2 ] || [ "$cpus" -gt 62 ] ||
		taskset -p "$(printf %x $((((1 << cpus) - 1) & ~2)))" $$ >/dev/null
}

# testpmd_start NAME SOCKET[,OPTION]... MODE [TESTPMD-OPTION]...: testpmd as the back-end at SOCKET
# (with ",client=1" it connects, else it listens). MODE icmpecho answers ARP requests and pings for
# any address; io carries packets to and from the tap NAME, which it makes. Sets TESTPMD_PID; its
# messages are in NAME.log. (Without --no-mlockall it would touch all of the guest's memory, which
# takes it ten seconds.)
testpmd_start() {
	name=$1 vhost=$2 mode=$3
	shift 3
	case $mode in
	io) tap="--vdev net_tap0,iface=$name" ;;
	*) tap= ;;
	esac
	rm -f "${vhost%%,*}" # one that was killed has left it, and then it wouldn't listen
	[ -p "$LAB_TMP/$name.in" ] || mkfifo "$LAB_TMP/$name.in" # at the end of its input it ends
	mkdir -p /var/run
	# shellcheck disable=SC2086 # no words, or two
	"$LAB_DIR/bin/dpdk-testpmd" -l 0,1 --no-huge -m 128 --no-pci --file-prefix="$name" \
		--vdev "net_vhost0,iface=$vhost" $tap -- --total-num-mbufs=4096 \
		--forward-mode="$mode" --auto-start --disable-link-check --no-mlockall "$@" \
		<>"$LAB_TMP/$name.in" >"$LAB_TMP/$name.log" 2>&1 &
	# shellcheck disable=SC2034 # for scenarios
	TESTPMD_PID=$!
	leave_cpu_1
	case $vhost in
	*client=1*) wait_for 90 grep -q 'VHOST_CONFIG.*client' "$LAB_TMP/$name.log" ;;
	*) wait_for 90 [ -S "${vhost%%,*}" ] ;;
	esac
}

# peer_rate WHAT IPERF3-OPTION...: to the guest's iperf3 server; what the receiver counted.
peer_rate() {
	what=$1
	shift
	iperf3 -c 10.0.2.2 -t 3 -f m "$@" >"$LAB_TMP/iperf3.log"
	rate=$(sed -n 's/^\[ *[0-9]*\]\(.*\)receiver/\1/p' "$LAB_TMP/iperf3.log")
	echo "$what:$rate"
	case $rate in
	'' | *' 0.00 Bytes'*) lab_fail "nothing arrives" ;;
	esac
}

peer_rates() {
	peer_rate "$1: TCP to the guest"
	peer_rate "$1: TCP from the guest" -R
	peer_rate "$1: UDP to the guest" -u -b 5M -l 1400
	peer_rate "$1: UDP from the guest" -u -b 5M -l 1400 -R
}

# The host's end of the tap that testpmd carries packets to: as tap_up. Its address stays the same
# when testpmd is started again: the guest's ARP cache still has it.
testpmd_tap_up() {
	wait_for 90 ip link show "$1"
	ip link set "$1" address 02:00:00:00:02:01
	ip addr add 10.0.2.1/24 dev "$1"
	ip link set "$1" up
}

# ovs_start: Open vSwitch with DPDK and one polling thread that sleeps when there is nothing to do.
# Sets OVS_PID; its messages are in ovs.log.
ovs_start() {
	export OVS_RUNDIR="$LAB_TMP/ovs" OVS_LOGDIR="$LAB_TMP/ovs" OVS_DBDIR="$LAB_TMP/ovs"
	export OVS_SYSCONFDIR="$LAB_TMP/ovs"
	mkdir -p "$OVS_RUNDIR" /var/run
	"$LAB_DIR/bin/ovsdb-tool" create "$OVS_DBDIR/conf.db" "$LAB_DIR/share/vswitch.ovsschema"
	"$LAB_DIR/bin/ovsdb-server" "$OVS_DBDIR/conf.db" --remote="punix:$OVS_RUNDIR/db.sock" \
		>"$LAB_TMP/ovsdb.log" 2>&1 &
	wait_for 90 [ -S "$OVS_RUNDIR/db.sock" ]
	ovs_vsctl --no-wait init
	ovs_vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true \
		other_config:dpdk-lcore-mask=0x1 other_config:pmd-cpu-mask=0x2 \
		other_config:pmd-maxsleep=250 \
		other_config:dpdk-extra='--no-huge --legacy-mem -m 256 --no-pci'
	ovs_run
}

# The switch itself: again after peer_kill "$OVS_PID"; the database knows its bridges.
ovs_run() {
	ovs_vsctl --no-wait set Open_vSwitch . dpdk_initialized=false # as it was left
	"$LAB_DIR/bin/ovs-vswitchd" "unix:$OVS_RUNDIR/db.sock" >"$LAB_TMP/ovs.log" 2>&1 &
	# shellcheck disable=SC2034
	OVS_PID=$!
	wait_for 90 ovs_initialized
}

ovs_vsctl() {
	"$LAB_DIR/bin/ovs-vsctl" --db="unix:$OVS_RUNDIR/db.sock" --timeout=60 "$@"
}

ovs_initialized() {
	[ "$(ovs_vsctl get Open_vSwitch . dpdk_initialized)" = true ]
}

# ovs_bridge NAME: with the host's end, an interface of that name, at 10.0.2.1.
ovs_bridge() {
	ovs_vsctl add-br "$1" -- set bridge "$1" datapath_type=netdev
	ip addr add 10.0.2.1/24 dev "$1"
	ip link set "$1" up
}

# ovs_client_port BRIDGE NAME SOCKET: it connects to SOCKET, whenever somebody listens there.
ovs_client_port() {
	ovs_vsctl add-port "$1" "$2" -- set Interface "$2" type=dpdkvhostuserclient \
		options:vhost-server-path="$3"
}

# ovs_server_port BRIDGE NAME: it listens at $OVS_RUNDIR/NAME.
ovs_server_port() {
	ovs_vsctl add-port "$1" "$2" -- set Interface "$2" type=dpdkvhostuser
	wait_for 90 [ -S "$OVS_RUNDIR/$2" ]
}
