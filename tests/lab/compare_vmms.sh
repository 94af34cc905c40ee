# shellcheck shell=dash source=compare.sh
# SPDX-License-Identifier: Apache-2.0
#
# xvmm, by transport, and other VMMs, for compare-peers, -vhost-net and -boot: exec_vmm (compare.sh),
# and $peers, the names of those that are here, at least one. By vhost-net with vhost=on.

vhost=${vhost-off}

# exec_qemu DEVICE MACHINE: microvm, DEVICE being virtio's on one transport or the other.
# shellcheck disable=SC2154 # guest: compare.sh's
exec_qemu() {
	exec "$LAB_DIR/bin/qemu" -L /usr/share/qemu -M "microvm$2" -enable-kvm -cpu host -smp 1 -m 256 \
		-nodefaults -no-user-config -display none -serial stdio -no-reboot \
		-kernel "$LAB_KERNEL" -initrd "$LAB_INITRD" -append "$guest" \
		-netdev "tap,id=net,ifname=tap0,script=no,downscript=no,vhost=$vhost" \
		-global virtio-mmio.force-legacy=false -device "$1,netdev=net"
}

exec_vmm() {
	case $1 in
	mmio | pci)
		exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$guest" \
			--cpus 1 --memory 256M --net "tap0,vhost=$vhost" --transport "$1"
		;;
	elf)
		exec "$LAB_XVMM" --kernel "$LAB_DIR/vmlinux" --initrd "$LAB_INITRD" --cmdline "$guest" \
			--cpus 1 --memory 256M --net tap0
		;;
	kvmtool)
		set -- "mode=tap,tapif=tap0"
		[ "$vhost" = off ] || set -- "$1,vhost=1"
		exec "$LAB_DIR/bin/lkvm" run --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" \
			--params "$guest" --cpus 1 --mem 256 --network "$1"
		;;
	qemu) exec_qemu virtio-net-device '' ;;
	qemu-pci) exec_qemu virtio-net-pci,romfile= ,pcie=on ;;
	esac
}

peers=
[ ! -x "$LAB_DIR/bin/lkvm" ] || peers="$peers kvmtool"
[ ! -x "$LAB_DIR/bin/qemu" ] || peers="$peers qemu"
[ -n "$peers" ] || lab_skip "neither XVMM_LAB_KVMTOOL nor XVMM_LAB_QEMU is set"

tap_up tap0
