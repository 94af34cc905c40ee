# shellcheck shell=dash source=lib.sh
# SPDX-License-Identifier: Apache-2.0
#
# Compares ways to run the same guest, for the compare-* scenarios, which give exec_vmm NAME (starts
# one of them, as exec) and call: guest_has iperf3 qperf; lab_has qperf; compare REFERENCE OTHER...
# With boot_only=on they compare only how a guest begins and is up; those aren't needed then.
#
# The machine is emulated and its absolute numbers mean little, so they take turns, all on the same
# kernel, initramfs and tap, in another order each round (who comes first is quicker), and medians
# are compared, with their median absolute deviations.

seconds=3
rounds=5
boot_only=${boot_only-off}
serve=${serve-'qperf & iperf3 -s'} # by what the guest answers
[ "$boot_only" != on ] || serve='sleep 60'
# shellcheck disable=SC2034 # lib.sh's
LAB_QUICK=
# shellcheck disable=SC2034 # exec_vmm's
guest=$(guest_cmdline "net_up; say ready; $serve")

### Measurements; each adds a line to $LAB_TMP/VMM.MEASURE

# record MEASURE VALUE: MEASURE is in compare.measures. What it says is read by tests/bench/lab.py.
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

# Its guest runs.
measure_guest() {
	guest_wait 'lab: ready' 90
	if [ "$boot_only" = on ]; then
		record_first_entry
	else
		sleep 1
		measure_traffic
	fi
	record_memory
}

# The emulation breaks a guest now and then, whoever runs it (README.md): that is no result, and
# what comes next has one.
broken_by_emulation() {
	grep -q 'QEMU TCG' /proc/cpuinfo &&
		grep -q ' RIP: 0010:entry_SYSCALL_64+0x0/' "$LAB_TMP/console.log"
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
	# Its failure must end it, which it would not in a condition.
	set +e
	(
		set -e
		measure_guest
	)
	status=$?
	set -e
	if [ "$status" -ne 0 ]; then
		broken_by_emulation || exit "$status"
		echo "$vmm: the emulation broke its guest: the rest of this round has no result"
	fi
	lab_kill 2>/dev/null || : # it may be gone by itself
	rm "$LAB_TMP/console"
}

### The table

# Of the numbers on standard input; nothing if there are none.
median() {
	sort -n | awk '{ value[NR] = $1 } END { if (NR) print value[int(NR / 2) + 1] }'
}

# cell MEDIAN REFERENCE <VALUES: that median with its spread, and its ratio to the reference.
cell() {
	spread=$(awk -v "median=$1" '{ d = $1 - median; print d < 0 ? -d : d }' | median)
	awk -v "median=$1" -v "spread=$spread" -v "by=$2" \
		'BEGIN { printf " %8s ± %-6s %5s", median, spread, (by ? sprintf("%.2f", median / by) : "") }'
}

# row MEASURE WORDS: the medians, and their ratios to the first one's; nothing if none has any.
row() {
	cat "$LAB_TMP"/*."$1" >/dev/null 2>&1 || return 0
	printf '%-32s' "$2"
	reference=0
	for vmm in $vmms; do
		values=$LAB_TMP/$vmm.$1
		if [ ! -s "$values" ]; then
			printf ' %23s' -
			continue
		fi
		[ "$vmm" != "${vmms%% *}" ] || reference=$(median <"$values")
		cell "$(median <"$values")" "$reference" <"$values"
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
		printf ' %23s' "$vmm"
	done
	echo
	while read -r name _ words; do
		[ "$name" = '#' ] || row "$name" "$words"
	done <"$LAB_DIR/compare.measures"
}
