# shellcheck shell=dash source=lib.sh
# SPDX-License-Identifier: Apache-2.0
#
# Compares ways to run the same guest, for the compare-* scenarios, which give exec_vmm NAME (starts
# one of them, as exec) and call: guest_has iperf3 qperf; lab_has qperf; compare REFERENCE OTHER...
# With boot_only=on they compare only how a guest begins and is up; those aren't needed then.
#
# The machine is emulated and its absolute numbers mean little, so they take turns, all on the same
# kernel, initramfs and tap, in another order each round (who comes first is quicker), and medians
# are compared.

seconds=3
boot_only=${boot_only-off}
rounds=3 serve='qperf & iperf3 -s'
[ "$boot_only" != on ] || rounds=5 serve='sleep 60'
# shellcheck disable=SC2034 # exec_vmm's
guest=$(guest_cmdline "net_up; say ready; $serve")

### Measurements; each adds a line to $LAB_TMP/VMM.MEASURE

record() {
	echo "$vmm: $1 $2"
	echo "$2" >>"$LAB_TMP/$vmm.$1"
}

# measured MEASURE COMMAND...: what COMMAND prints, which fails if it didn't come to an end.
measured() {
	value=$(shift && "$@") || {
		echo "$value"
		exit 1
	}
	record "$1" "$value"
}

# Of all VMs that there are, by KVM's statistics. One that runs nothing keeps KVM awake (README.md).
exits() {
	cat /sys/kernel/debug/kvm/*/"$1" | awk '{ n += $1 } END { print n }'
}

# Records from exec until the guest's init says that it is up, and what its exits were until then.
clock_boot() {
	while IFS= read -r line; do
		echo "$line" >>"$LAB_TMP/console.log"
		case $line in
		*'lab: up'*)
			record init_ms $(($(now_ms) - $1))
			[ "$boot_only" != on ] || record exits "$(exits exits)"
			[ "$boot_only" != on ] || record vmm_exits $(($(exits io_exits) + $(exits mmio_exits)))
			;;
		esac
	done
}

# The kernel traces exec and entries into the guest. Both events are switched on once and stay so:
# that rewrites the kernel's code, which TCG may not survive (README.md). The buffer keeps what
# comes first and drops the rest.
trace=/sys/kernel/tracing

trace_prepare() {
	echo 0 >$trace/tracing_on
	echo mono >$trace/trace_clock # the same on every CPU
	echo 0 >$trace/options/overwrite
	echo 64 >$trace/buffer_size_kb
	echo "filename ~ \"$LAB_DIR/bin/*\"" >$trace/events/sched/sched_process_exec/filter
	echo 1 >$trace/events/sched/sched_process_exec/enable
	echo 1 >$trace/events/kvm/kvm_entry/enable
}

trace_first_entry() {
	echo >$trace/trace
	echo 1 >$trace/tracing_on
}

record_first_entry() {
	echo 0 >$trace/tracing_on
	record entry_ms "$(sed -n 's/.* \([0-9.]*\): \(sched_process_exec\|kvm_entry\):.*/\2 \1/p' $trace/trace |
		awk '/exec/ { start = $2 } /entry/ { printf "%.0f\n", ($2 - start) * 1000; exit }')"
}

# Of a guest that is gone a client would wait for ever.
ends() {
	timeout $((seconds + 60)) "$@" || lab_fail "it did not end, or failed: $*"
}

# rate OPTION...: Mbit/s that arrived.
rate() {
	ends "$LAB_DIR/bin/iperf3" -c 10.0.2.2 -t "$seconds" -f m "$@" >"$LAB_TMP/iperf3.log"
	awk '/receiver$/ { print $7 }' "$LAB_TMP/iperf3.log"
}

# datagrams SIZE OPTION...: UDP datagrams of SIZE bytes a second that arrived.
datagrams() {
	size=$1
	shift
	ends "$LAB_DIR/bin/iperf3" -c 10.0.2.2 -t "$seconds" -u -b 0 -l "$size" "$@" >"$LAB_TMP/iperf3.log"
	sed -n "s|.* \([0-9]*\)/\([0-9]*\) (.*receiver|\1 \2|p" "$LAB_TMP/iperf3.log" |
		awk -v "seconds=$seconds" '{ printf "%.0f\n", ($2 - $1) / seconds }'
}

# What a byte takes one way, as an answer to one that went the other, by TCP (qperf has it in ns).
one_way_us() {
	ends qperf -t "$seconds" --unify_units 10.0.2.2 tcp_lat >"$LAB_TMP/qperf.log"
	awk '/latency/ { printf "%.0f\n", $3 / 1000 }' "$LAB_TMP/qperf.log"
}

# What the VMM takes besides guest RAM, the largest of its mappings.
record_memory() {
	awk '
		/^Size:/ { size = $2; rss = private = 0 }
		/^Rss:/ { rss = $2 }
		/^Private_(Clean|Dirty):/ { private += $2 }
		/^VmFlags:/ {
			if (size > ram) { ram = size; ram_rss = rss; ram_private = private }
			all_rss += rss
			all_private += private
		}
		END { print all_rss - ram_rss, all_private - ram_private }
	' "/proc/$LAB_PID/smaps" >"$LAB_TMP/memory"
	read -r rss private <"$LAB_TMP/memory"
	record rss_kib "$rss"
	record private_kib "$private"
}

measure_traffic() {
	measured tcp_in rate
	measured tcp_out rate -R
	measured udp_in datagrams 64
	measured udp_out datagrams 64 -R
	measured udp_large_in datagrams 1400
	measured udp_large_out datagrams 1400 -R
	measured tcp_us one_way_us
}

measure() {
	vmm=$1
	: >"$LAB_TMP/console.log"
	mkfifo "$LAB_TMP/console"
	ip neigh flush to 10.0.2.2 # the last guest had another MAC address
	[ "$boot_only" != on ] || trace_first_entry
	clock_boot "$(now_ms)" <"$LAB_TMP/console" &
	exec_vmm "$vmm" >"$LAB_TMP/console" 2>"$LAB_TMP/vmm.log" &
	LAB_PID=$!
	guest_wait 'lab: ready' 90
	if [ "$boot_only" = on ]; then
		record_first_entry
	else
		sleep 1
		measure_traffic
	fi
	record_memory
	lab_kill
	rm "$LAB_TMP/console"
}

### The table

median() {
	sort -n "$LAB_TMP/$1.$2" | sed -n "$((rounds / 2 + 1))p"
}

# row MEASURE WORDS: the medians, and their ratios to the first one's.
row() {
	reference=$(median "${vmms%% *}" "$1")
	printf '%-32s' "$2"
	for vmm in $vmms; do
		median "$vmm" "$1" | awk -v "by=$reference" '{ printf " %10s %5.2f", $1, $1 / by }'
	done
	echo
}

# compare NAME...: the ratios are to the first one.
compare() {
	vmms="$*"
	[ "$boot_only" != on ] || trace_prepare
	for _ in $(seq "$rounds"); do
		for vmm in "$@"; do
			measure "$vmm"
		done
		first=$1
		shift
		set -- "$@" "$first"
	done
	printf '%-32s' "medians of $rounds, ratio to the first"
	for vmm in $vmms; do
		printf ' %16s' "$vmm"
	done
	echo
	row init_ms 'exec to guest init, ms'
	if [ "$boot_only" = on ]; then
		row entry_ms 'exec to first guest entry, ms'
		row exits 'KVM exits until init'
		row vmm_exits 'of these by I/O and MMIO'
	else
		row tcp_out 'TCP guest to host, Mbit/s'
		row tcp_in 'TCP host to guest, Mbit/s'
		row udp_out 'UDP 64 B guest to host, 1/s'
		row udp_in 'UDP 64 B host to guest, 1/s'
		row udp_large_out 'UDP 1400 B guest to host, 1/s'
		row udp_large_in 'UDP 1400 B host to guest, 1/s'
		row tcp_us 'TCP ping-pong, one way, us'
	fi
	row rss_kib 'Rss without guest RAM, KiB'
	row private_kib 'private without guest RAM, KiB'
}
