#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Wrong inputs: one line on standard error that names the cause, the right status, nothing left.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

# said NAME STATUS PATTERN: what the run that just ended should have said and returned.
said() {
	local problem=
	[ "$status" = "$2" ] || problem="exit status is $status, not $2"
	[ -z "$left" ] || problem='a process is left behind'
	[ ! -s "$work/out" ] || problem='there is something on standard output'
	grep -Eq -- "$3" "$work/err" || problem="${problem:-the message does not match: $3}"
	[ "$(grep -c '' "$work/err")" = 1 ] || problem='the message is not one line'
	grep -q '^xvmm: ' "$work/err" || problem='the message does not begin with xvmm:'
	verdict "$1" "$problem"
}

# usage PATTERN ARGUMENT...: wrong usage, whatever machine it is on.
usage() {
	local pattern=$1
	shift
	start "$@" </dev/null
	finish
	said "usage: $*" 2 "$pattern"
}

# wrong NAME PATTERN ARGUMENT...: right usage that can't work here.
wrong() {
	local name=$1 pattern=$2
	shift 2
	start "$@" </dev/null
	finish
	said "$name" 1 "$pattern"
}

elf=$GUESTS/hello.elf
bzimage=$GUESTS/hello.bzimage

# --- command line ---

usage 'kernel'
usage 'frobnicate' --kernel "$elf" --frobnicate
usage 'stray' --kernel "$elf" stray
usage 'kernel.*path' --kernel ''
usage 'initrd.*path' --kernel "$elf" --initrd ''
usage 'kernel' --kernel
usage 'twice' --kernel "$elf" --kernel "$elf"
usage 'control' --kernel "$elf" --control ''
for value in 0 -1 x '' 1x 100000 99999999999999999999; do
	usage 'cpus' --kernel "$elf" --cpus "$value"
done
for value in 0 '' x 64Q 64MM -64M 1.5G 99999999999999999999 64T 16777216T; do
	usage 'memory' --kernel "$elf" --memory "$value"
done
usage "shared.*(on|off)" --kernel "$elf" --memory 64M,shared=maybe
usage 'shared.*hugepages.*prealloc' --kernel "$elf" --memory 64M,swap=on
usage 'shared' --kernel "$elf" --memory 64M,shared=on,shared=off
usage 'shared' --kernel "$elf" --memory 64M,shared
usage 'net' --kernel "$elf" --net ''
usage 'at most 15' --kernel "$elf" --net a-name-that-is-too-long
usage 'net' --kernel "$elf" --net mac=02:00:00:00:00:01
usage 'vhots.*mac.*mtu' --kernel "$elf" --net tap0,vhots=on
usage 'socket.*keys of a tap: .*mac' --kernel "$elf" --net tap0,socket=/tmp/s
usage 'vhost.*keys of vhost-user: socket' --kernel "$elf" --net vhost-user,socket=/tmp/s,vhost=on
usage 'vhost-user needs socket' --kernel "$elf" --net vhost-user,queues=2
usage 'socket or fd, not both' --kernel "$elf" --net vhost-user,socket=/tmp/s,fd=3
for name in a/b 'a b' a:b tap%d; do
	usage "'$name': an interface name" --kernel "$elf" --net "$name"
done
usage 'poll_us needs vhost=on' --kernel "$elf" --net tap0,poll_us=10
usage 'maybe.*off, on, auto' --kernel "$elf" --net tap0,vhost=maybe
usage 'grace' --kernel "$elf" --net vhost-user,socket=/tmp/s,grace=long
usage 'mtu' --kernel "$elf" --net tap0,mtu=1500,mtu=1400
for value in 0 67 65536 x ''; do
	usage 'mtu' --kernel "$elf" --net "tap0,mtu=$value"
done
for value in zz 02:00:00:00:00 02:00:00:00:00:00:00 01:00:5e:00:00:01 00:00:00:00:00:00; do
	usage 'mac' --kernel "$elf" --net "tap0,mac=$value"
done
usage 'queues' --kernel "$elf" --net tap0,queues=17
usage 'speed' --kernel "$elf" --net tap0,speed=fast
usage 'duplex.*full.*half' --kernel "$elf" --net tap0,duplex=quarter
usage 'known keys.*mrg_rxbuf.*ring_reset' --kernel "$elf" --net tap0,standby=on
usage 'mrg_rxbuf=1.*on or off' --kernel "$elf" --net tap0,mrg_rxbuf=1
usage 'transport.*mmio' --kernel "$elf" --transport carrier-pigeon
usage 'console.*stdio.*off.*file' --kernel "$elf" --console telnet
usage 'console' --kernel "$elf" --console file:
for value in 0 -1 x '' nan inf; do
	usage 'timeout' --kernel "$elf" --timeout "$value"
done
usage 'boot.*auto.*linux.*pvh' --kernel "$elf" --boot multiboot

# --- kernel and initrd ---

missing=$work/missing
head -c 4000 "$elf" >"$work/short.elf"
head -c 40 "$elf" >"$work/header.elf"
head -c 1500 "$bzimage" >"$work/short.bzimage"
head -c 600 "$bzimage" >"$work/header.bzimage"
: >"$work/empty"
echo 'This is no kernel.' >"$work/text"
gzip -c "$elf" >"$work/vmlinux.gz"
# e_machine (byte 18): EM_AARCH64; EI_CLASS (byte 4): ELFCLASS32
cp "$elf" "$work/aarch64.elf"
printf '\267' | dd of="$work/aarch64.elf" bs=1 seek=18 conv=notrunc status=none
cp "$elf" "$work/32bit.elf"
printf '\1' | dd of="$work/32bit.elf" bs=1 seek=4 conv=notrunc status=none
truncate -s 1G "$work/large"

wrong 'kernel missing' "$missing: No such file or directory; try: /boot" --kernel "$missing"
wrong 'kernel in no directory' "no directory $missing; try: /boot" --kernel "$missing/kernel"
wrong 'kernel is a directory' "$work.*directory" --kernel "$work"
wrong 'kernel is a device' '/dev/zero' --kernel /dev/zero
wrong 'kernel is empty' 'empty' --kernel "$work/empty"
wrong 'kernel is text' 'text' --kernel "$work/text"
wrong 'ELF cut short' 'short.elf.*(truncated|cut|ends)' --kernel "$work/short.elf"
wrong 'ELF header cut short' 'header.elf' --kernel "$work/header.elf"
wrong 'bzImage cut short' 'short.bzimage.*(truncated|cut|ends)' --kernel "$work/short.bzimage"
wrong 'setup header of bzImage cut short' 'header.bzimage' --kernel "$work/header.bzimage"
wrong 'kernel of aarch64' 'aarch64' --kernel "$work/aarch64.elf"
wrong '32-bit ELF' '(32|64)-bit' --kernel "$work/32bit.elf"
wrong 'gzipped vmlinux' 'gzip.*(gunzip|gzip -d|zcat)' --kernel "$work/vmlinux.gz"
for format in 'xz \0375\0067\0172\0130\0132\0000' 'zstd \0050\0265\0057\0375' \
	'lz4 \0002\0041\0114\0030' 'bzip2 \0102\0132\0150\0071'; do
	read -r name magic <<<"$format"
	{ printf "%b" "$magic" && head -c 1000 /dev/zero; } >"$work/kernel"
	wrong "kernel compressed by $name" "$name" --kernel "$work/kernel"
done
wrong 'a bzImage has no PVH entry' '[Pp][Vv][Hh]' --kernel "$bzimage" --boot pvh
wrong 'initrd missing' "$missing.*No such file" --kernel "$elf" --initrd "$missing"
wrong 'initrd is a directory' "$work.*directory" --kernel "$elf" --initrd "$work"
wrong 'initrd does not fit' 'large' --kernel "$elf" --memory 64M --initrd "$work/large"
wrong 'initrd does not fit, bzImage' 'large' --kernel "$bzimage" --memory 64M --initrd "$work/large"
wrong 'command line too long' 'command line|cmdline' --kernel "$bzimage" \
	--cmdline "$(printf '%5000s' x)"
wrong 'more memory at once than there is' 'this machine has [0-9]*; try: without prealloc' \
	--kernel "$elf" --memory 1024G,prealloc=on
ip link set lo up # without an address all of them are local
wrong 'user-mode networking on a foreign address' 'Cannot assign .*; try: an address of this machine' \
	--kernel "$elf" --net user,hostfwd=tcp:192.0.2.1:8080-:80

# Not an error: it may be meant. This machine must not have 1000 GiB for this.
start --kernel "$GUESTS/poweroff.elf" --memory 1000G </dev/null
finish
judge 'more memory than there is' 0
verdict 'is told' "$(grep -q 'guest memory: 1024000 MiB, and this machine has [0-9]*: ' "$work/err" || cat "$work/err")"

# --- /dev/kvm, in a mount namespace ---

# kvm_is WHAT NAME PATTERN: the run of a guest where WHAT has been done to /dev/kvm.
kvm_is() {
	prefix=(unshare -m bash -c "$1"' && exec "$@"' -)
	wrong "$2" "$3" --kernel "$elf"
	prefix=()
}
mkdir "$work/dev"
: >"$work/dev/kvm"
if unshare -m mount --bind "$work/dev" /dev 2>/dev/null; then
	kvm_is "mount --bind /dev/null /dev/kvm" '/dev/kvm is another device' "not KVM's device"
	kvm_is "mount --bind $work/dev /dev && rm /dev/kvm" '/dev/kvm is absent' 'No such file.*; try: modprobe kvm_intel'
fi

# --- what xvmm makes, and connects to ---

absent="there is no directory $missing; try: mkdir -p $missing\$"
wrong 'console file in no directory' "--console: $missing/x: .*$absent" --kernel "$elf" --console "file:$missing/x"
wrong 'control socket in no directory' "control: $missing/x: .*$absent" --kernel "$elf" --control "$missing/x"
wrong 'timeline in no directory' "--timeline: $missing/x: .*$absent" --kernel "$elf" --timeline "$missing/x"
wrong 'capture in no directory' "capture $missing/x: .*$absent" --kernel "$elf" --net "user,pcap=$missing/x"
wrong 'vhost-user socket in no directory' "listening at $missing/x: .*$absent" \
	--kernel "$elf" --net "vhost-user,socket=$missing/x,server=on"
if command -v python3 >/dev/null; then
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
time.sleep(60)' "$work/datagrams" &
	datagrams=$!
	for ((i = 0; i < 500; i++)); do
		[ -S "$work/datagrams" ] && break
		sleep 0.02
	done
	for server in off on; do
		wrong "vhost-user socket of datagrams, server=$server" "$work/datagrams: .*it is a datagram or packet socket" \
			--kernel "$elf" --net "vhost-user,socket=$work/datagrams,server=$server"
	done
	wrong 'control socket of datagrams' "$work/datagrams: .*it is a datagram or packet socket" \
		--kernel "$elf" --control "$work/datagrams"
	kill "$datagrams"
	wait "$datagrams" 2>/dev/null
fi

# few_descriptors ARGUMENT...: whichever descriptor is one too many, it is named, with the cure.
few_descriptors() {
	local n
	for ((n = 4; n < 64; n++)); do
		prefix=(prlimit "--nofile=$n:$n")
		start --kernel "$elf" "$@" </dev/null
		finish
		[ "$status" = 0 ] && break
		grep -q 'error while loading shared libraries' "$work/err" && continue
		said "$n descriptors: $*" 1 'Too many open files; try: ulimit -n 4096$'
	done
	prefix=()
	verdict "enough descriptors: $*" "$([ "$n" -gt 8 ] && [ "$n" -lt 64 ] || echo "with $n it runs")"
}

# --- taps ---

ip tuntap add tap0 mode tap
ip link set tap0 up

few_descriptors
few_descriptors --control "$work/few" --timeline "$work/few.json"
few_descriptors --net "user,pcap=$work/few.pcap" --net tap0
ip tuntap add tapmq mode tap multi_queue
ip tuntap add tun0 mode tun
ip link add dummy0 type dummy 2>/dev/null

wrong 'tap missing' 'tap9.*ip tuntap add' --kernel "$elf" --net tap9
wrong 'tun, not tap' 'tun0' --kernel "$elf" --net tun0
wrong 'not a tap at all' 'lo: it is not a tap device' --kernel "$elf" --net lo
ip link add br0 type bridge 2>/dev/null &&
	wrong 'a bridge' 'br0: it is a bridge.*master br0' --kernel "$elf" --net br0
wrong 'no descriptor' 'descriptor 77: it is not open' --kernel "$elf" --net fd=77
for i in {3..9}; do
	wrong "no descriptor, but that xvmm opens one" "descriptor $i: it is not open" --kernel "$elf" \
		--net "fd=$i" --control "$work/control" --timeline "$work/timeline.json" 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
done
wrong 'a descriptor of a file' 'descriptor 7: it is no tap' --kernel "$elf" --net fd=7 7<"$work/text"
wrong 'a descriptor of no tap yet' 'descriptor 7: .*attached to no tap' --kernel "$elf" \
	--net fd=7 7<>/dev/net/tun
usage "size 100: .*packed=on" --kernel "$elf" --net tap0,queue_size=100
usage "queue_size.*32 to 32768" --kernel "$elf" --net tap0,queue_size=16
usage 'more than 31 characters' --kernel "$elf" --net tap0,id=an-id-that-goes-on-and-on-and-on-x
usage "host_tso4=on: it needs csum" --kernel "$elf" --net tap0,csum=off,host_tso4=on
wrong 'several queues asked of one' 'mq=on: .*queues=' --kernel "$elf" --net tap0,mq=on
usage "the id 'net1'" --kernel "$elf" --net tap0,id=net1 --net tap0
usage 'net1: net0 already has tap0' --kernel "$elf" --net tap0 --net tap0
usage 'net1: net0 already has tap0' --kernel "$elf" --net tap0 --net vhost-user,socket=/tmp/s,fallback=tap0
usage 'net1: net0 already has /tmp/s' --kernel "$elf" --net vhost-user,socket=/tmp/s \
	--net vhost-user,socket=/tmp/s

prefix=("$GUESTS/echo_peer" 2) # at descriptors 10 and 11
start --kernel "$elf" --net fd=10 --net fd=11 --net fd=10 </dev/null
finish
judge 'one descriptor for two devices' 0
verdict 'is told' "$(grep -q 'descriptor 10 is of two network devices' "$work/err" || echo no)"
prefix=()

# One more than there may be on each transport.
mmio=() pci=()
for ((i = 0; i < 32; i++)); do
	ip tuntap add "tapx$i" mode tap
	ip link set "tapx$i" up
	[ "$i" -gt 8 ] || mmio+=(--net "tapx$i")
	pci+=(--net "tapx$i")
done
usage 'at most 8 on virtio-mmio' --kernel "$elf" --transport mmio "${mmio[@]}"
usage 'at most 31 on virtio-pci' --kernel "$elf" "${pci[@]}"
for ((i = 0; i < 32; i++)); do
	ip tuntap del "tapx$i" mode tap
done

"$XVMM" --kernel "$GUESTS/spin.elf" --net tap0 --net tapmq </dev/null >"$work/holder" 2>&1 &
holder=$!
for ((i = 0; i < 500; i++)); do
	grep -qs "^ready" "$work/holder" && break
	sleep 0.02
done
wrong 'tap busy' 'tap0.*([Bb]usy|in use)' --kernel "$elf" --net tap0
wrong 'tap of several queues busy' 'tapmq.*([Bb]usy|in use)' --kernel "$elf" --net tapmq
kill -KILL "$holder"
wait "$holder" 2>/dev/null

# A tap of root, opened by nobody, who may open /dev/kvm all the same.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	ip tuntap del tap0 mode tap
	ip tuntap add tap0 mode tap user 0
	prefix=(setpriv --reuid 65534 --clear-groups "--inh-caps=-all,+dac_override"
		"--ambient-caps=-all,+dac_override")
	"${prefix[@]}" true 2>/dev/null &&
		wrong "tap of another owner" "tap0.*(owner|belongs|uid 0)" --kernel "$elf" --net tap0

	# Nobody may open /dev/kvm for its group, and nothing else.
	prefix=(setpriv --reuid 65534 --regid "$(stat -c %g /dev/kvm)" --clear-groups --inh-caps=-all)
	chmod 711 "$work"
	mkdir -m 711 "$work/closed"
	mkdir -m 700 "$work/shut"
	(umask 077 && : >"$work/closed/file")
	if "${prefix[@]}" sh -c ': <>/dev/kvm' 2>/dev/null; then
		wrong 'file of another owner' "closed/file: .*uid 0 and has mode 0600; try: sudo chown [$]USER $work/closed/file" \
			--kernel "$elf" --timeline "$work/closed/file"
		wrong 'directory of another owner' "closed/x: .*directory $work/closed belongs to uid 0 and has mode 0711" \
			--kernel "$elf" --control "$work/closed/x"
		wrong 'no way to the file' "a directory on the way to it can't be entered; try: namei -l $work/shut/x" \
			--kernel "$elf" --console "file:$work/shut/x"
	fi
	prefix=()
fi

# --- a back-end that isn't there yet ---

start --kernel "$GUESTS/spin.elf" --timeout 1 --net "vhost-user,socket=$work/nobody" </dev/null
finish
problem=
[ "$status" = 124 ] || problem="exit status is $status"
grep -q "net0: no back-end at $work/nobody yet" "$work/err" || problem='it is not said'
verdict 'a back-end that is not there yet' "$problem"

# --- nothing is left behind ---

ip -br link >"$work/links"
problem=
grep -Eqv '^(lo|tap0|tapmq|tun0|dummy0|br0)' "$work/links" && problem='an interface'
verdict 'no interface is left behind' "$problem"

done_testing
