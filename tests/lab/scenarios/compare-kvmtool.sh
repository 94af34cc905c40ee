# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: boot time, traffic and memory next to kvmtool's (XVMM_LAB_KVMTOOL=LKVM) and QEMU's (XVMM_LAB_QEMU=1)
# set: extra
# limit: 1800
. "$LAB_DIR/lib.sh"

# The machine is emulated and its absolute numbers mean little, so the VMMs take
# turns, all on the same kernel, initramfs and tap, and medians are compared.
rounds=5
seconds=3

peers=
[ ! -x "$LAB_DIR/bin/lkvm" ] || peers="$peers kvmtool"
[ ! -x "$LAB_DIR/bin/qemu" ] || peers="$peers qemu"
[ -n "$peers" ] || lab_skip "neither XVMM_LAB_KVMTOOL nor XVMM_LAB_QEMU is set"

guest_has iperf3
guest=$(guest_cmdline 'net_up; say ready; iperf3 -s')

exec_vmm() {
	case $1 in
	xvmm)
		exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$guest" \
			--cpus 1 --memory 256M --net tap0
		;;
	kvmtool)
		exec "$LAB_DIR/bin/lkvm" run --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" \
			--params "$guest" --cpus 1 --mem 256 --network mode=tap,tapif=tap0
		;;
	qemu)
		exec "$LAB_DIR/bin/qemu" -L /usr/share/qemu -M microvm -enable-kvm -cpu host -smp 1 -m 256 \
			-nodefaults -no-user-config -display none -serial stdio -no-reboot \
			-kernel "$LAB_KERNEL" -initrd "$LAB_INITRD" -append "$guest" \
			-netdev tap,id=net,ifname=tap0,script=no,downscript=no \
			-global virtio-mmio.force-legacy=false -device virtio-net-device,netdev=net
		;;
	esac
}

### Measurements; each adds a line to $LAB_TMP/VMM.MEASURE

record() {
	echo "$vmm: $1 $2"
	echo "$2" >>"$LAB_TMP/$vmm.$1"
}

# Records from exec until the guest's init says that it is up.
clock_boot() {
	while IFS= read -r line; do
		echo "$line" >>"$LAB_TMP/console.log"
		case $line in
		*'lab: up'*) record init_ms $(($(now_ms) - $1)) ;;
		esac
	done
}

# The kernel traces exec and entries into the guest. Both events are switched on once and stay so:
# that rewrites the kernel's code, which TCG may not survive (README.md). The buffer keeps what
# comes first and drops the rest.
trace=/sys/kernel/tracing

trace_prepare() {
	echo 0 >$trace/tracing_on
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

# rate OPTION...: Mbit/s that arrived.
rate() {
	iperf3 -c 10.0.2.2 -t "$seconds" -f m "$@" >"$LAB_TMP/iperf3.log"
	awk '/receiver$/ { print $7 }' "$LAB_TMP/iperf3.log"
}

# datagrams OPTION...: UDP datagrams of 64 bytes a second that arrived.
datagrams() {
	iperf3 -c 10.0.2.2 -t "$seconds" -u -b 0 -l 64 "$@" >"$LAB_TMP/iperf3.log"
	sed -n "s|.* \([0-9]*\)/\([0-9]*\) (.*receiver|\1 \2|p" "$LAB_TMP/iperf3.log" |
		awk -v "seconds=$seconds" '{ printf "%.0f\n", ($2 - $1) / seconds }'
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

measure() {
	vmm=$1
	: >"$LAB_TMP/console.log"
	mkfifo "$LAB_TMP/console"
	trace_first_entry
	clock_boot "$(now_ms)" <"$LAB_TMP/console" &
	exec_vmm "$vmm" >"$LAB_TMP/console" 2>"$LAB_TMP/vmm.log" &
	LAB_PID=$!
	guest_wait 'lab: ready' 90
	record_first_entry
	sleep 1
	record tcp_in "$(rate)"
	record tcp_out "$(rate -R)"
	record udp_in "$(datagrams)"
	record udp_out "$(datagrams -R)"
	record_memory
	lab_kill
	rm "$LAB_TMP/console"
}

### The table

median() {
	sort -n "$LAB_TMP/$1.$2" | sed -n "$((rounds / 2 + 1))p"
}

# row MEASURE WORDS
row() {
	mine=$(median xvmm "$1")
	printf '%-34s %9s' "$2" "$mine"
	for peer in $peers; do
		median "$peer" "$1" | awk -v "mine=$mine" '{ printf " %9s %6.2f", $1, mine / $1 }'
	done
	echo
}

tap_up tap0
trace_prepare
for _ in $(seq "$rounds"); do
	for vmm in xvmm $peers; do
		measure "$vmm"
	done
done

printf '%-34s %9s' "medians of $rounds; ratio: xvmm / it" xvmm
for peer in $peers; do
	printf ' %9s %6s' "$peer" ratio
done
echo
row entry_ms 'exec to first guest entry, ms'
row init_ms 'exec to guest init, ms'
row tcp_out 'TCP guest to host, Mbit/s'
row tcp_in 'TCP host to guest, Mbit/s'
row udp_out 'UDP 64 B guest to host, 1/s'
row udp_in 'UDP 64 B host to guest, 1/s'
row rss_kib 'Rss without guest RAM, KiB'
row private_kib 'private without guest RAM, KiB'
