# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tests/lab/run and tests/lab/shell share: options, packages, the cache, the
# tree of files that scenarios see as LAB_DIR, the L1 image, and QEMU.

lab_source=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
lab_cache=${XVMM_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xvmm-lab}
lab_arch=x86_64 # of the guests, and of the machine that QEMU emulates
lab_suite=      # of Debian's, that the kernel is of; the system's
lab_sysroot=${XVMM_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/xvmm-sysroot/aarch64}
dpdk_pmds=/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0
libgcc=/usr/lib/x86_64-linux-gnu/libgcc_s.so.1 # backtrace() loads it
slirp=/usr/lib/x86_64-linux-gnu/libslirp.so.0
ovs_dpdk=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
ovs_schema=/usr/share/openvswitch/vswitch.ovsschema
l1_memory=8192 # MiB; taken from the host only when touched

say() {
	echo "lab: $*" >&2
}

die() {
	say "$@"
	exit 1
}

# The parts that the scenarios to run want, or those that they are made of: sets guest_parts and
# lab_parts (guest_has and lab_has in lib.sh).
find_parts() {
	local made_of

	mapfile -t made_of < <(cd "$lab_source/scenarios" &&
		sed -n 's|^\. "$LAB_DIR/scenarios/\(.*\)"$|\1|p' "$@")
	set -- "$@" "${made_of[@]}"
	parts_after() {
		cd "$lab_source/scenarios" && cat "${@:2}" | sed -n "s/^$1 //p" | tr ' ' '\n' | sort -u
	}
	mapfile -t guest_parts < <(parts_after guest_has "$@")
	mapfile -t lab_parts < <(parts_after lab_has "$@")
}

# any_part [PART]...: whether one of them is wanted.
any_part() {
	local part

	for part; do
		[[ " ${guest_parts[*]} ${lab_parts[*]} " != *" $part "* ]] || return 0
	done
	return 1
}

check_packages() {
	local package file parts missing=()

	if [[ $lab_arch == aarch64 ]]; then
		[[ $(type -P qemu-system-aarch64) && -e $lab_sysroot/.packages/util-linux ]] ||
			die "packages are missing; try: tests/setup aarch64"
		return
	fi
	while read -r package file parts; do
		case $package in
		'' | '#'*) continue ;;
		esac
		# shellcheck disable=SC2086 # a list of words
		[[ ! $parts ]] || any_part $parts || continue
		if [[ $file == /* ]]; then
			[[ -e $file ]]
		else
			type -P "$file" >/dev/null
		fi || missing+=("$package")
	done <"$lab_source/packages"
	[[ ${#missing[@]} -eq 0 ]] ||
		die "packages are missing; try: tests/setup, or: apt-get install -y --no-install-recommends ${missing[*]}"
}

# Whether this machine's KVM can run Linux. It takes more than /dev/kvm: KVM's PVM
# back end, for one, can't run a stock kernel.
host_kvm_runs_linux() {
	[[ -r /dev/kvm && -w /dev/kvm ]] && grep -qwE 'svm|vmx' /proc/cpuinfo
}

### The guest kernel, and L1's

# The ELF file inside a bzImage: the payload, by the setup header's setup_sects,
# payload_offset and payload_length (Documentation/x86/boot.rst), without the size
# in its last four bytes.
extract_vmlinux() {
	local image=$1 payload=$1.payload
	field() { od -An -j "$1" -N "$2" -t "u$2" "$image" | tr -d ' '; }

	dd if="$image" of="$payload" iflag=skip_bytes,count_bytes bs=1M status=none \
		skip="$((($(field 0x1f1 1) + 1) * 512 + $(field 0x248 4)))" count="$(($(field 0x24c 4) - 4))"
	case $(od -An -N 4 -t x1 "$payload") in
	' 02 21 4c 18') lz4 -dcq "$payload" ;; # Debian 12's
	' 28 b5 2f fd') zstd -dcq "$payload" ;;
	*) die "the kernel is compressed in another way than LZ4 or Zstandard" ;;
	esac
	rm "$payload"
}

# use_suite DIRECTORY: adds to the array apt the options by which it sees $lab_suite and nothing else, by lists of its own.
use_suite() {
	local mirror architecture=amd64

	[[ $lab_arch == x86_64 ]] || architecture=arm64

	# shellcheck disable=SC2016 # apt's variables
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
		awk -v release="${lab_suite%%-*}" '$2 == release { print $1; exit }')
	mkdir "$1/lists"
	echo "deb [arch=$architecture signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"${mirror:-http://deb.debian.org/debian} $lab_suite main" >"$1/sources.list"
	apt+=(-o "Dir::Etc::SourceList=$1/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$1/lists")
	apt-get "${apt[@]}" --error-on=any update
}

cannot_fetch() {
	[[ $lab_suite ]] || exit 1
	say "nothing can be had of $lab_suite"
	exit 77
}

# Debian's cloud kernel, or the package that XVMM_LAB_PACKAGE names, downloaded once and unpacked, never installed:
# $lab_kernel/{bzImage,vmlinux,modules/}. Remove the cache to get a newer one. Exit status 77 if $lab_suite can't be had.
fetch_kernel() (
	[[ ! -d $lab_kernel ]] || exit 0
	name=${XVMM_LAB_PACKAGE:-linux-image-cloud-amd64}
	[[ $lab_arch == x86_64 ]] || name=${XVMM_LAB_PACKAGE:-linux-image-cloud-arm64}:arm64
	mkdir -p "$lab_cache"
	work=$(mktemp -d "$lab_cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	apt=(-qq -o APT::Sandbox::User=root)
	if [[ $lab_suite ]]; then
		use_suite "$work" || cannot_fetch
	fi
	package=$(apt-cache "${apt[@]}" depends "$name" | awk '/Depends: linux-image/ { print $2 }')
	[[ $package ]] || die "$name is not known here; try: apt-get update"
	version=${package#linux-image-}
	version=${version%:*}

	say "fetching $package to $lab_cache"
	cd "$work" || exit
	apt-get "${apt[@]}" download "$package" || cannot_fetch
	say "unpacking $package"
	dpkg-deb -x ./*.deb root
	mkdir kernel
	mv "root/boot/vmlinuz-$version" kernel/bzImage
	mv "root/lib/modules/$version/kernel" kernel/modules
	find kernel/modules -name '*.ko.xz' -exec xz -d {} +
	[[ $lab_arch != x86_64 ]] || extract_vmlinux kernel/bzImage >kernel/vmlinux
	mv -T kernel "$lab_kernel"
)

### Images
#
# A tree to be packed holds symbolic links to the files themselves; cpio follows them.

# place FILE TARGET: puts an existing file into a tree.
place() {
	[[ -e $1 ]] || die "there is no file for $2"
	mkdir -p "${2%/*}"
	ln -sfn "$(realpath "$1")" "$2"
}

# program NAME: where it is, for the guests' architecture.
program() {
	if [[ $lab_arch == x86_64 ]]; then
		type -P "$1"
	else
		find "$lab_sysroot"/usr/{bin,sbin} -name "$1" -type f | head -n 1
	fi
}

# build_program TARGET SOURCE: of C, static.
build_program() {
	local compiler=gcc

	[[ $lab_arch == x86_64 ]] || compiler=$lab_arch-linux-gnu-gcc
	"$compiler" -static -O2 -Wall -o "$1" "$2"
}

# What ldd would print, which runs the program: libraries of the sysroot, and what those load.
place_foreign_libraries() {
	local library

	readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
		[[ ! -e $2/lib/$lab_arch-linux-gnu/$library ]] || continue
		place "$lab_sysroot/usr/lib/$lab_arch-linux-gnu/$library" "$2/lib/$lab_arch-linux-gnu/$library"
		place_foreign_libraries "$lab_sysroot/usr/lib/$lab_arch-linux-gnu/$library" "$2"
	done
}

# place_program FILE TARGET ROOT: with the libraries that it loads, in ROOT.
place_program() {
	local library

	place "$1" "$2"
	if [[ $lab_arch != x86_64 ]]; then
		place "$lab_sysroot/usr/lib/ld-linux-$lab_arch.so.1" "$3/lib/ld-linux-$lab_arch.so.1"
		place_foreign_libraries "$1" "$3"
		return
	fi
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		place "$library" "$3$library"
	done || : # a static program
}

# place_modules ROOT MODULE...: but for those that are built in or that the kernel doesn't have.
place_modules() {
	local root=$1 module file

	shift
	mkdir -p "$root/modules"
	for module in "$@"; do
		file=$(find "$lab_kernel/modules" -name "$module.ko")
		[[ ! $file ]] || place "$file" "$root/modules/$module.ko"
	done
}

# pack ROOT: a cpio archive of a tree, on standard output.
pack() {
	mkdir -p "$1"/{dev,proc,sys,tmp}
	(cd "$1" && find . -mindepth 1 -printf '%P\0' | cpio -0oL -H newc -R 0:0 --quiet)
}

# build_guest WORK: WORK/guest.cpio, small enough for a guest of 64 MiB.
build_guest() {
	local root=$1/guest

	place "$lab_source/guest/init" "$root/init"
	place "$lab_source/guest/lib.sh" "$root/lib.sh"
	place_program "$(program busybox)" "$root/bin/busybox" "$root"
	mkdir -p "$root/usr/bin"
	[[ $lab_arch != x86_64 ]] || build_program "$root/usr/bin/outb" "$lab_source/guest/outb.c"
	place_modules "$root" virtio_ring virtio virtio_mmio virtio_pci_modern_dev \
		virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net \
		pvpanic pvpanic-mmio button gpio_keys evdev
	pack "$root" >"$1/guest.cpio"
}

# build_part WORK PART: WORK/PART.cpio, for guest_has of lib.sh to append to the guest's, as a
# kernel allows.
build_part() {
	local root=$1/$2

	case $2 in
	iperf3)
		place_program "$(program iperf3)" "$root/usr/bin/iperf3" "$root"
		;;
	qperf)
		place_program "$(type -P qperf)" "$root/usr/bin/qperf" "$root"
		;;
	tools)
		place_program "$(program ethtool)" "$root/usr/bin/ethtool" "$root"
		place_program "$(program tcpdump)" "$root/usr/bin/tcpdump" "$root"
		place_program "$(program ip)" "$root/usr/bin/ip" "$root"
		place_modules "$root" llc stp garp mrp 8021q
		;;
	numbered)
		mkdir -p "$root/usr/bin"
		build_program "$root/usr/bin/numbered" "$lab_source/guest/numbered.c"
		;;
	kexec)
		place_program "$(program kexec)" "$root/usr/bin/kexec" "$root"
		place "$lab_kernel/bzImage" "$root/boot/bzImage"
		place "$1/guest.cpio" "$root/boot/guest.cpio"
		;;
	dpdk)
		place_program "$(type -P dpdk-testpmd)" "$root/usr/bin/dpdk-testpmd" "$root"
		place_pmds "$root" mempool_ring net_virtio # the buses come with testpmd
		place_modules "$root" uio uio_pci_generic
		;;
	*) die "guests have no part $2" ;;
	esac
	pack "$root" >"$1/$2.cpio"
}

# place_pmds ROOT PMD...: DPDK's drivers, which it looks for in one folder only.
place_pmds() {
	local root=$1 pmd

	shift
	for pmd in "$@"; do
		place_program "$dpdk_pmds/librte_$pmd.so.23.0" "$root$dpdk_pmds/librte_$pmd.so.23.0" "$root"
	done
}

# guest_file NAME: what xvmm boots of a test guest.
declare -A guest_suffix=([x86_64]=elf [aarch64]=Image)
guest_file() {
	echo "${lab_xvmm%/*}/tests/guest/$1.${guest_suffix[$lab_arch]}"
}

# place_part LAB ROOT PART: what lab_has of lib.sh promises.
place_part() {
	local file

	[[ $lab_arch == x86_64 || " two_guests unit hostile system " == *" $3 "* ]] ||
		die "the lab of $lab_arch has no part $3"
	case $3 in
	testpmd)
		place_program "$(type -P dpdk-testpmd)" "$1/bin/dpdk-testpmd" "$2"
		place_pmds "$2" mempool_ring net_tap net_vhost # the buses come with testpmd
		;;
	ovs)
		for file in ovsdb-server ovsdb-tool ovs-vsctl ovs-appctl; do
			place_program "$(PATH=$PATH:/usr/sbin type -P "$file")" "$1/bin/$file" "$2"
		done
		place_program "$ovs_dpdk" "$1/bin/ovs-vswitchd" "$2"
		place_pmds "$2" mempool_ring
		place "$ovs_schema" "$1/share/vswitch.ovsschema"
		;;
	two_guests)
		# Where it was built may be below /tmp, which is another one there.
		place "${lab_xvmm%/*}/libxvmm.so.0" "$2/lib/$lab_arch-linux-gnu/libxvmm.so.0"
		place_program "${lab_xvmm%/*}/examples/two_guests" "$1/bin/two_guests" "$2"
		;;
	hostile)
		place_program "${lab_xvmm%/*}/tests/guest/echo_peer" "$1/bin/echo_peer" "$2"
		place "$(guest_file hostile)" "$1/bin/hostile"
		;;
	faults)
		place_program "${lab_xvmm%/*}/tests/faults/session_test" "$1/bin/session_test" "$2"
		place_program "${lab_xvmm%/*}/tests/faults/libfault_shim.so" "$1/bin/libfault_shim.so" "$2"
		place_program "$libgcc" "$2$libgcc" "$2"
		place "${lab_xvmm%/*}/tests/guest/net.elf" "$1/bin/net.elf"
		;;
	bench)
		place_program "${lab_xvmm%/*}/tests/bench/packets" "$1/bin/packets" "$2"
		place "${lab_xvmm%/*}/tests/guest/net.elf" "$1/bin/net.elf"
		;;
	system)
		for file in bash date head sum timeout; do # as busybox has them not
			place_program "$(program "$file")" "$1/bin/$file" "$2"
		done
		for file in "$lab_source"/../system/*.sh; do
			place "$file" "$1/system/${file##*/}"
		done
		for file in "${lab_xvmm%/*}"/tests/guest/*.{"${guest_suffix[$lab_arch]}",bzimage}; do
			[[ ! -e $file ]] || place "$file" "$1/guests/${file##*/}" # bzImages are x86's
		done
		place_program "${lab_xvmm%/*}/tests/guest/echo_peer" "$1/guests/echo_peer" "$2"
		place_program "${lab_xvmm%/*}/tests/vhost_user_backend/vhost-user-backend" \
			"$1/system/vhost-user-backend" "$2"
		for file in "${lab_xvmm%/*}"/tests/system/*_test; do
			place_program "$file" "$1/system/${file##*/}" "$2"
		done
		;;
	host_tools)
		place_program "${lab_xvmm%/*}/tests/system/unix_cat" "$1/bin/unix_cat" "$2"
		for file in grep pgrep prlimit setpriv; do
			place_program "$(program "$file")" "$1/bin/$file" "$2"
		done
		;;
	qperf) place_program "$(type -P qperf)" "$1/bin/qperf" "$2" ;;
	slirp) place_program "$slirp" "$2$slirp" "$2" ;;
	unit) place_tests "$1" "$2" ;;
	*) die "the lab has no part $3" ;;
	esac
}

# build_tree WORK: WORK/l1 is the root of L1, WORK/l1/lab what scenarios see as
# LAB_DIR. Direct mode uses WORK/l1/lab where it is.
build_tree() {
	local root=$1/l1 lab=$1/l1/lab file

	build_guest "$1"
	place "$1/guest.cpio" "$lab/guest.cpio"
	for file in "${guest_parts[@]}"; do
		build_part "$1" "$file"
		place "$1/$file.cpio" "$lab/$file.cpio"
	done
	for file in "${lab_parts[@]}"; do
		place_part "$lab" "$root" "$file"
	done
	place "$lab_kernel/bzImage" "$lab/bzImage"
	[[ $lab_arch != x86_64 ]] || place "$lab_kernel/vmlinux" "$lab/vmlinux"
	for file in "$lab_source"/{lib.sh,compare.measures,compare.sh,compare_vmms.sh,faults.sh,hostile.sh,kill.sh,peers.sh,switch.sh,runner,interactive,scenarios/*.sh}; do
		place "$file" "$lab/${file#"$lab_source/"}"
	done
	place_program "$lab_xvmm" "$lab/bin/xvmm" "$root"
	build_program "$lab/bin/numbered" "$lab_source/guest/numbered.c"
	for file in ip iperf3 unshare; do
		place_program "$(program "$file")" "$lab/bin/$file" "$root"
	done
	place_peers "$root"
}

# place_tests LAB ROOT: the unit tests, in LAB/unit, and of a cross build the fuzzers' seeds, with
# what runs them, in LAB/seeds.
place_tests() {
	local build=${lab_xvmm%/*}/tests file

	[[ -x $build/test_ring ]] || die "the unit tests are not built: no $build/test_ring"
	for file in "$build"/test_*; do
		place_program "$file" "$1/unit/${file##*/}" "$2"
	done
	mkdir -p "$2/etc" && : >"$2/etc/resolv.conf" # test_user_net mounts another on it
	[[ $lab_arch != x86_64 ]] || return 0
	for file in "$build"/fuzz/fuzz_*; do
		place_program "$file" "$1/seeds/${file##*/}" "$2"
		cp -r "$lab_source/../fuzz/corpus/${file##*/fuzz_}" "$1/seeds/"
	done
}

# Other VMMs, for compare scenarios only.
place_peers() {
	local root=$1 file

	if [[ ${XVMM_LAB_KVMTOOL:-} ]]; then
		place_program "$XVMM_LAB_KVMTOOL" "$root/lab/bin/lkvm" "$root"
	fi
	if [[ ${XVMM_LAB_QEMU:-} == 1 ]]; then
		place_program "$(type -P qemu-system-x86_64)" "$root/lab/bin/qemu" "$root"
		for file in bios-microvm.bin linuxboot_dma.bin; do
			place "/usr/share/qemu/$file" "$root/usr/share/qemu/$file"
		done
	fi
}

# build_l1 WORK: WORK/l1.cpio
build_l1() {
	local root=$1/l1

	place "$lab_source/l1/init" "$root/init"
	place_program "$(program busybox)" "$root/bin/busybox" "$root"
	mkdir -p "$root/bin"
	[[ $lab_arch != x86_64 ]] || build_program "$root/bin/hold_kvm" "$lab_source/l1/hold_kvm.c"
	place_modules "$root" irqbypass kvm kvm-amd vhost_iotlb vhost tun tap vhost_net \
		llc stp garp mrp 8021q bridge
	pack "$root" >"$1/l1.cpio"
}

# exec_l1 WORK PARAMETERS QEMU-OPTION...: becomes the QEMU that runs L1. The first
# serial port is L1's console, the second carries TAP. npt=off,-erms,-la57,-cx16: see README.md.
# softlockup_panic: a CPU of L1 that TCG has lost ends L1 in 20 seconds, instead of hanging it.
exec_l1() {
	local work=$1 parameters=$2

	shift 2
	if [[ $lab_arch == aarch64 ]]; then
		# TAP goes to a PCI card, the second serial port; cortex-a76: with VHE.
		exec qemu-system-aarch64 -M "virt,virtualization=on,gic-version=${XVMM_LAB_GIC:-3}" \
			-cpu "${XVMM_LAB_CPU:-cortex-a76}" \
			-accel tcg,thread=multi -smp 2 -m "$l1_memory" -nodefaults -display none -no-reboot \
			-kernel "$lab_kernel/bzImage" -initrd "$work/l1.cpio" \
			-append "console=ttyAMA0 quiet panic=-1 softlockup_panic=1 lab.tap=ttyS0 $parameters" "$@"
	fi
	exec qemu-system-x86_64 -accel tcg,thread=multi -cpu max,npt=off,-erms,-la57,-cx16 -smp 2 -m "$l1_memory" \
		-nodefaults -display none -no-reboot \
		-kernel "$lab_kernel/bzImage" -initrd "$work/l1.cpio" \
		-append "console=ttyS0 quiet panic=-1 softlockup_panic=1 $parameters" "$@"
}

### Beginning

# parse_options OPTION...: sets lab_xvmm, lab_mode (direct or lab) and the array
# lab_arguments. The caller defines usage().
parse_options() {
	lab_xvmm=$lab_source/../../build/xvmm lab_mode='' lab_arguments=()
	while [[ $# -gt 0 ]]; do
		case $1 in
		--xvmm)
			[[ $# -gt 1 ]] || die "--xvmm needs a path"
			lab_xvmm=$2
			shift
			;;
		--direct | --lab) lab_mode=${1#--} ;;
		--suite)
			[[ ${2:-} =~ ^[a-z-]+$ ]] || die "--suite needs the name of a suite of Debian's"
			lab_suite=$2
			shift
			;;
		--arch)
			[[ ${2:-} == x86_64 || ${2:-} == aarch64 ]] || die "--arch needs x86_64 or aarch64"
			lab_arch=$2
			shift
			;;
		-h | --help)
			usage
			exit
			;;
		-*) die "unknown option: $1; see --help" ;;
		*) lab_arguments+=("$1") ;;
		esac
		shift
	done

	if [[ $lab_arch != x86_64 ]]; then
		lab_mode=lab
		[[ $lab_xvmm != "$lab_source/../../build/xvmm" ]] || lab_xvmm=$lab_source/../../build-$lab_arch/xvmm
	fi
	lab_kernel=$lab_cache/${XVMM_LAB_PACKAGE:-kernel}${lab_suite:+-$lab_suite}
	[[ $lab_arch == x86_64 ]] || lab_kernel+=-$lab_arch
	if [[ ! $lab_mode ]]; then
		host_kvm_runs_linux && lab_mode=direct || lab_mode=lab
	fi
}

# prepare SCENARIO-FILE...: whatever it takes until guests of these scenarios can be started; sets
# lab_work, a directory that the caller removes.
prepare() {
	find_parts "$@"
	check_packages
	[[ -x $lab_xvmm ]] ||
		die "no $(realpath -m "$lab_xvmm"); build it (cmake -B build && cmake --build build) or give --xvmm PATH"
	fetch_kernel
	lab_work=$(mktemp -d -t xvmm-lab.XXXXXX)
	build_tree "$lab_work"
	[[ $lab_mode == direct ]] || build_l1 "$lab_work"
}

# exec_direct COMMAND...: becomes COMMAND in namespaces of its own, as their root.
# All that it starts ends with it.
exec_direct() {
	local user=()

	[[ $(id -u) -eq 0 ]] || user=(--map-root-user)
	exec unshare "${user[@]}" --kill-child --fork --pid --mount-proc --net "$@"
}
