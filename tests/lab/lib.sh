# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
#
# What scenarios are written with. They run under busybox sh -eu, in L1 or on the
# host, in PID, network and mount namespaces of their own: what a scenario starts,
# mounts or configures is gone when it ends.
#
# The runner gives LAB_DIR (kernels, initramfs, programs) and LAB_TMP (a scratch
# directory; *.log in it are shown if the scenario fails). A scenario may set:
#   LAB_KERNEL   the guest kernel: bzImage (the default) or vmlinux of LAB_DIR
#   LAB_INITRD   its initramfs
#   LAB_APPEND   more of the kernel command line
#   LAB_QUICK    the same, by which a guest boots sooner and rewrites its kernel less: empty in those
#                that are about booting, for a stock kernel as users have it
#   LAB_VM       which VM the functions are about, if there are two: a prefix for the names of its
#                files. LAB_PID and descriptor 9 are those of the last one that was started.

LAB_XVMM=$LAB_DIR/bin/xvmm
LAB_KERNEL=$LAB_DIR/bzImage
LAB_INITRD=$LAB_DIR/guest.cpio
LAB_APPEND=
LAB_QUICK=noreplace-smp # docs/performance.md, "Where the time to init goes"
[ "$(uname -m)" != aarch64 ] || LAB_QUICK=
LAB_PID=
LAB_VM=

# iproute2's ip, not the applet that busybox sh prefers.
ip() {
	"$LAB_DIR/bin/ip" "$@"
}

iperf3() {
	"$LAB_DIR/bin/iperf3" "$@"
}

# guest_has PART...: from now on guests have that, too: iperf3; tools (ethtool, tcpdump, VLANs);
# numbered (a stream of UDP datagrams); kexec (with a kernel and an initramfs in /boot); dpdk
# (testpmd, and drivers to take a NIC with).
guest_has() {
	LAB_INITRD=$LAB_TMP/initrd.cpio
	cat "$LAB_DIR/guest.cpio" >"$LAB_INITRD"
	for part in "$@"; do
		cat "$LAB_DIR/$part.cpio" >>"$LAB_INITRD"
	done
}

# What the threads of the VM that runs do, twice, for who wants to know why it doesn't go on.
show_threads() {
	for _ in 1 2; do
		for task in "/proc/$LAB_PID/task/"*; do
			echo "$(cat "$task/comm"): $(cut -d ' ' -f 3,14,15 "$task/stat")" \
				"$(cat "$task/wchan"): $(head -n 4 "$task/stack" | cut -d ' ' -f 2 | tr '\n' ' ')"
		done
		sleep 1
	done
} 2>/dev/null

# show_guest: its last exits within a second, by which one sees where a guest that hangs goes round
# in circles (the kernel's addresses are shifted: by how much, the WRMSR on L1's console tells). Last of
# all: to switch on an event rewrites L1's kernel, which TCG may not survive (README.md).
show_guest() {
	cd /sys/kernel/tracing || return # what runs on the host itself may not look
	echo 1 >events/kvm/kvm_exit/enable
	sleep 1
	echo 0 >events/kvm/kvm_exit/enable
	grep -v '^#' trace | cut -d ':' -f 2- | tail -n 20
} 2>/dev/null

# ask_guest: has it panic, so that its console shows where it is; after show_guest, on x86, and if it
# has a control socket where scenarios put it.
ask_guest() {
	[ -S "$LAB_TMP/${LAB_VM}control" ] || return
	timeout 5 "$LAB_XVMM" ctl "$LAB_TMP/${LAB_VM}control" inject-nmi && sleep 5
}

# lab_has PART...: where scenarios run there is: testpmd, ovs (see peers.sh), slirp (the library),
# two_guests (of examples), hostile (the test guest, and its peer), faults (see faults.sh), bench (the
# test guest "net", and packets of tests/bench), unit (the unit tests in unit/), system (scripts of
# tests/system in system/, its programs, and the test guests in guests/), host_tools (what else some
# of those take).
# Its line is read by tests/lab/run, which puts it there.
lab_has() {
	for part in "$@"; do
		case $part in
		testpmd) program=dpdk-testpmd ;;
		ovs) program=ovs-vswitchd ;;
		two_guests) program=two_guests ;;
		hostile) program=echo_peer ;;
		faults) program=session_test ;;
		bench) program=packets ;;
		unit) program=../unit/test_ring ;;
		qperf) program=qperf ;;
		system) program=bash ;;
		host_tools) program=unix_cat ;;
		slirp) continue ;; # xvmm itself says if it isn't there
		esac
		[ -x "$LAB_DIR/bin/$program" ] || lab_fail "no $program: lab_has must be at the beginning of a line"
	done
}

lab_fail() {
	echo "FAILED: $*"
	if [ -n "${LAB_PID:-}" ] && lab_running; then
		show_threads >"$LAB_TMP/threads.log"
		(show_guest) >"$LAB_TMP/guest.log"
		ask_guest || :
	fi
	exit 1
}

lab_skip() {
	echo "$*" >"$LAB_TMP/skip"
	exit 77
}

# only_on_x86 WHAT: what aarch64 has nothing like.
only_on_x86() {
	[ "$(uname -m)" = x86_64 ] || lab_skip "$1: only on x86"
}

# unit_test NAME: one that must not be skipped.
unit_test() {
	"$LAB_DIR/unit/$1" >"$LAB_TMP/$1.log" 2>&1 || lab_fail "$1: $(grep -v '^Running' "$LAB_TMP/$1.log")"
	! grep '^SKIP' "$LAB_TMP/$1.log" || lab_fail "$1 was skipped"
	echo "$1: $(tail -n 1 "$LAB_TMP/$1.log")"
}

# still_runs PID: an unreaped process is still in /proc, as a zombie; kill -0 finds it, too.
still_runs() {
	grep -q '^State:.[^Z]' "/proc/$1/status"
} 2>/dev/null

# Milliseconds since the machine started, in steps of 10.
now_ms() {
	read -r uptime rest </proc/uptime
	echo "${uptime%.*}${uptime#*.}0"
}

### Virtual machines, one at a time (or see LAB_VM)

# guest_cmdline COMMANDS: the command line of a kernel whose init (guest/init) is to
# run COMMANDS, which have no double quotes in them, and to power off.
guest_cmdline() {
	on_nmi=
	[ "$(uname -m)" = aarch64 ] || on_nmi=unknown_nmi_panic # ask_guest
	echo "console=ttyS0 quiet panic=-1 $on_nmi $LAB_QUICK $LAB_APPEND lab.run=\"$1\""
}

exec_xvmm() {
	cmdline=$(guest_cmdline "$1")
	shift
	exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$cmdline" "$@" \
		>"$LAB_TMP/${LAB_VM}console.log" 2>"$LAB_TMP/${LAB_VM}xvmm.log"
}

# lab_xvmm COMMANDS [OPTION]...: boots a guest that runs COMMANDS, for which
# guest/lib.sh has some functions. Standard input is the guest's console input.
# Returns xvmm's exit status.
lab_xvmm() {
	(exec_xvmm "$@")
}

# lab_start COMMANDS [OPTION]...: the same in the background, as LAB_PID. What the
# scenario writes to descriptor 9 is the guest's console input.
lab_start() {
	: >"$LAB_TMP/${LAB_VM}console.log"
	[ -p "$LAB_TMP/${LAB_VM}input" ] || mkfifo "$LAB_TMP/${LAB_VM}input"
	exec 9<>"$LAB_TMP/${LAB_VM}input"
	exec_xvmm "$@" <"$LAB_TMP/${LAB_VM}input" 9<&- &
	LAB_PID=$!
}

# Waits for the VM that lab_start started; returns xvmm's exit status.
lab_wait() {
	wait "$LAB_PID" 2>/dev/null # the shell's word on a signal
}

# Whether it runs.
lab_running() {
	still_runs "$LAB_PID"
}

# Ends the VM that lab_start started, whatever state it is in.
lab_kill() {
	kill -KILL "$LAB_PID"
	lab_wait || :
}

# expect_status STATUS COMMAND...
expect_status() {
	expected=$1 status=0
	shift
	"$@" || status=$?
	[ "$status" -eq "$expected" ] || lab_fail "exit status $status, expected $expected: $*"
}

### The guest's console

# guest_wait PATTERN [SECONDS]: waits for a line on the console; twice as long on aarch64, whose
# emulation is that much slower.
guest_wait() {
	deadline=$(($(now_ms) + ${2:-30} * 1000))
	[ "$(uname -m)" != aarch64 ] || deadline=$((deadline + ${2:-30} * 1000))
	until guest_said "$1"; do
		lab_running || guest_said "$1" || lab_fail "xvmm ended before: $1"
		[ "$(now_ms)" -lt "$deadline" ] || lab_fail "not within ${2:-30} s: $1"
		sleep 0.1
	done
}

guest_said() {
	grep -q -e "$1" "$LAB_TMP/${LAB_VM}console.log"
}

# guest_lines KEY: prints the lines "lab: KEY...".
guest_lines() {
	grep -e "^lab: $1" "$LAB_TMP/${LAB_VM}console.log" | tr -d '\r'
}

# guest_value KEY: VALUE of the line "lab: KEY=VALUE".
guest_value() {
	sed -n "s/^lab: $1=//p" "$LAB_TMP/${LAB_VM}console.log" | tr -d '\r'
}

# expect_value KEY VALUE
expect_value() {
	value=$(guest_value "$1")
	echo "guest: $1=$value"
	[ "$value" = "$2" ] || lab_fail "expected $1=$2"
}

# expect_ram MIB: the kernel uses all of the machine's memory, but for what a PC
# keeps below 1 MiB.
expect_ram() {
	ram=$(guest_value ram)
	echo "guest: ram=$ram memtotal=$(guest_value memtotal) KiB"
	less=$((($1 << 20) - ram))
	[ "$less" -ge 0 ] || lab_fail "more than $1 MiB"
	[ "$less" -le 1048576 ] || lab_fail "$less less than $1 MiB"
}

### The network

ip link set lo up

# tap_up NAME [FLAG...]: a tap for --net, with the host's end at 10.0.2.1.
tap_up() {
	# shellcheck disable=SC2046 # flags are words
	ip tuntap add "$1" mode tap vnet_hdr $(shift && echo "$@")
	ip addr add 10.0.2.1/24 dev "$1"
	ip link set "$1" up
}
