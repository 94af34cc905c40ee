# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: what a guest does until its init runs, by where its vCPU is when L1's timer ticks
# set: extra
# limit: 600
. "$LAB_DIR/lib.sh"
LAB_QUICK=

# A tick makes the guest exit wherever it is, with interrupts off, too: so these exits are samples of
# it. Each counts for the time since the one before, for ticks get lost where much code is rewritten,
# which is dear in an emulated machine. (The guest's own clock stands still then.)

only_on_x86 "the exit's reason"
rounds=${rounds-3}
trace=/sys/kernel/tracing
[ -w "$trace/tracing_on" ] || lab_skip "no trace points: $trace"
tap_up tap0

echo mono >$trace/trace_clock
echo 0 >$trace/options/overwrite
echo 8192 >$trace/buffer_size_kb
echo 'exit_reason == 0x60' >$trace/events/kvm/kvm_exit/filter # SVM_EXIT_INTR
echo 1 >$trace/events/kvm/kvm_exit/enable

# boot COMMANDS TRANSPORT
boot() {
	echo >$trace/trace
	echo 1 >$trace/tracing_on
	LAB_APPEND="$LAB_APPEND nokaslr" lab_start "$1; sleep 100" --net "tap0,transport=$2"
	guest_wait 'lab: up' 60
	echo 0 >$trace/tracing_on
}

# The kernel's functions, sorted: ADDRESS NAME.
symbols() {
	sleep 60 | nc -l -p 5555 >"$LAB_TMP/kallsyms" &
	boot 'net_up; grep -vF [ /proc/kallsyms | nc 10.0.2.1 5555; say sent' mmio
	guest_wait 'lab: sent' 60
	lab_kill
	awk '$2 ~ /[tTwW]/ { print $1, $3 }' "$LAB_TMP/kallsyms" | sort >"$LAB_TMP/symbols"
}

# Of each sample the function and its time in ms; the kernel's lower addresses are those where it
# unpacks itself.
functions() {
	sed -n 's/.* \([0-9.]*\): kvm_exit: .* rip 0x\([0-9a-f]*\).*/\1 \2/p' $trace/trace |
		awk 'last { printf "%s ~ %.1f\n", substr("0000000000000000" $2, length($2) + 1), ($1 - last) * 1000 }
			{ last = $1 }' |
		sort - "$LAB_TMP/symbols" |
		awk '$2 != "~" { name = $2 } $2 == "~" { print name ? name : "decompressor", $3 }'
}

# summary TRANSPORT: which part of the kernel the functions are of, by their names.
summary() {
	echo "$1: $(wc -l <"$LAB_TMP/$1") samples, $rounds boots; ms of each, percent:"
	awk '
		function part(f) {
			if (f == "decompressor")
				return "unpacking itself"
			if (f ~ /^(mpi|mul_n|sha[0-9]|aes|rsa|ecc|vli|x509|blake|alg_test|crypto)/)
				return "ciphers: their tests, certificates"
			if (f ~ /poke|^apply_|^optimize_nops|^insn_|alternative|int3|static_call|valid_rec/)
				return "rewriting its own code"
			if (f ~ /load_new_mm|switch_mm|switch_ldt|set_pte|get_locked_pte|flush_tlb/)
				return "address spaces: another (that, too), changes"
			if (f ~ /serial|uart|xmitr|lsr|console/)
				return "serial port"
			if (f ~ /acpi|pci_|virtio/)
				return "ACPI, PCI, virtio"
			if (f ~ /trace_event|update_event|get_symbol|kallsyms|btf/)
				return "tables for tracing, BTF"
			if (f ~ /^(clear_|memset|free_reserved|memblock|kmem|___slab|allocate_slab|get_page|rmqueue)/)
				return "memory: clearing it, handing it out"
			if (f ~ /^mem(cpy|move)|shmem|xz|inflate|zstd|unpack/)
				return "copies, the initrd"
			return "the rest"
		}
		{ ms[part($1)] += $2; all += $2 }
		END {
			for (name in ms)
				printf "%6.0f %5.1f %s\n", ms[name] / rounds, 100 * ms[name] / all, name
		}
	' "rounds=$rounds" "$LAB_TMP/$1" | sort -rn
}

symbols
for transport in mmio pci; do
	for _ in $(seq "$rounds"); do
		boot : "$transport"
		functions >>"$LAB_TMP/$transport"
		lab_kill
	done
	summary "$transport"
done
echo "functions, most of all; ms in all boots:"
awk '{ ms[$1] += $2 } END { for (name in ms) printf "%6.0f %s\n", ms[name], name }' \
	"$LAB_TMP/mmio" "$LAB_TMP/pci" | sort -rn | head -n 30
