# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: what 1,000 packets cost in exits, calls, switches and CPU time, by datapath and thread
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

# The test guest "net" sends or takes packets of 64 bytes. Each way is run twice, with few packets
# and with many, and the difference is divided: what starting and ending take is not in it. The
# kernel counts, by thread: histograms of trace points, which are switched on once (compare.sh).
# Counts are exact; times are an emulated machine's, and only their ratios mean anything.

lab_has bench testpmd

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"

few=5000
many=45000
trace=/sys/kernel/tracing
events='raw_syscalls/sys_enter kvm/kvm_exit kvm/kvm_userspace_exit sched/sched_switch'

# count EVENT KEYS [VALUES]
count() {
	echo "hist:keys=$2${3:+:vals=$3}:size=8192" >"$trace/events/$1/trigger" ||
		lab_skip "this kernel has no histograms of trace points (CONFIG_HIST_TRIGGERS)"
}

count sched/sched_stat_runtime comm,pid runtime
for event in $events; do
	case $event in
	*/sched_switch) count "$event" prev_pid ;;
	*) count "$event" common_pid ;;
	esac
done

# Lines "EVENT THREAD NUMBER" of all that was counted so far, for those that packets pass through;
# threads of one name together. What a thread is called is what it has run as for longest.
totals() {
	for event in sched/sched_stat_runtime $events; do
		sed -n "s|^{|${event##*/} |p" "$trace/events/$event/hist"
	done | awk '
		$1 == "sched_stat_runtime" {
			match($0, /comm: +[^ ]+/)
			name = substr($0, RSTART + 6, RLENGTH - 6)
			sub(/^ */, "", name)
			match($0, /pid: +[0-9]+/)
			pid = substr($0, RSTART + 4, RLENGTH - 4) + 0
			match($0, /runtime: +[0-9]+/)
			time = substr($0, RSTART + 8, RLENGTH - 8) + 0
			sub(/-[0-9]+$/, "", name) # vhost-PID, rte-worker-1
			if (time > longest[pid]) {
				longest[pid] = time
				called[pid] = name
			}
			n["ns " name] += time
			next
		}
		{
			match($0, /pid: +[0-9]+/)
			name = called[substr($0, RSTART + 4, RLENGTH - 4) + 0]
			match($0, /hitcount: +[0-9]+/)
			n[$1 " " name] += substr($0, RSTART + 9, RLENGTH - 9)
		}
		END {
			for (key in n)
				if (key ~ / (vcpu0|xvmm|net0-q0|vhost|rte-worker|packets)$/) print key, n[key]
		}'
}

# guest MODE WAIT PACKETS: a run. Lines "before EVENT THREAD NUMBER", "after ..." and, what the guest
# says, "guest WHAT NUMBER".
guest() {
	totals | sed 's/^/before /'
	"$LAB_XVMM" --kernel "$LAB_DIR/bin/net.elf" --memory 64M --net "$net" \
		--cmdline "mode=$1 wait=$2 size=60 packets=$3 event_idx=on num_buffers=any mrg=on transport=pci" \
		>"$LAB_TMP/guest.log" 2>"$LAB_TMP/xvmm.log" </dev/null ||
		lab_fail "the guest: $(tail -n 3 "$LAB_TMP/guest.log")"
	totals | sed 's/^/after /'
	sed -n 's/^bench //p' "$LAB_TMP/guest.log" |
		awk '{ for (i = 1; i < NF; i += 2) print "guest", $i, $(i + 1) }'
}

# The difference of two runs, by 1,000 packets.
show() {
	awk -v "what=$1" '
		FNR == 1 { run++ }
		$1 == "guest" { n[run, "guest", $2] = $3 }
		$1 == "before" { n[run, $2, $3] -= $4 }
		$1 == "after" { n[run, $2, $3] += $4; threads[$3] }
		function per(event, name) {
			return (n[2, event, name] - n[1, event, name]) / thousands
		}
		END {
			thousands = (n[2, "guest", "packets"] - n[1, "guest", "packets"]) / 1000
			printf "%s: doorbells %.1f, interrupts %.1f, exits %.1f, to xvmm %.1f\n", what,
				per("guest", "kicks"), per("guest", "interrupts"), per("kvm_exit", "vcpu0"),
				per("kvm_userspace_exit", "vcpu0")
			for (name in threads) {
				if (per("sys_enter", name) + per("sched_switch", name) < 0.5 && per("ns", name) < 1e6)
					continue
				printf "    %-10s system calls %.1f, switches %.1f, CPU time %.0f us\n", name,
					per("sys_enter", name), per("sched_switch", name), per("ns", name) / 1000
			}
		}' "$LAB_TMP/few" "$LAB_TMP/many"
}

# way DATAPATH MODE WAIT
way() {
	guest "$2" "$3" "$few" >"$LAB_TMP/few"
	guest "$2" "$3" "$many" >"$LAB_TMP/many"
	show "$1, $2, $3"
}

# on_tap DATAPATH: in-process, or vhost-net.
on_tap() {
	for wait in poll irq; do
		way "$1" transmit "$wait"
	done
	"$LAB_DIR/bin/packets" flood tap0 60 &
	flood=$!
	for wait in poll irq; do
		way "$1" receive "$wait"
	done
	peer_kill "$flood"
}

ip tuntap add tap0 mode tap vnet_hdr
ip link set tap0 up
echo 1 >/proc/sys/net/ipv6/conf/tap0/disable_ipv6

net=tap0,transport=pci
on_tap in-process
net=tap0,vhost=on,transport=pci
on_tap vhost-net

many=405000 # a back-end that polls takes them in no time
net=vhost-user,socket=$LAB_TMP/vhost,transport=pci
for direction in transmit receive; do
	[ "$direction" = transmit ] && mode=rxonly || mode=txonly
	testpmd_start "pmd$mode" "$LAB_TMP/vhost" "$mode"
	for wait in poll irq; do
		way vhost-user "$direction" "$wait"
	done
	peer_kill "$TESTPMD_PID"
done
