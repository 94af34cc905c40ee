# shellcheck shell=dash source=compare.sh
# SPDX-License-Identifier: Apache-2.0
#
# xvmm, by transport, and other VMMs, for compare-peers and compare-boot: exec_vmm (compare.sh), and
# $peers, the names of those that are here, at least one.

# shellcheck disable=SC2154 # guest: compare.sh's
exec_vmm() {
	case $1 in
	mmio | pci)
		exec "$LAB_XVMM" --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" --cmdline "$guest" \
			--cpus 1 --memory 256M --net tap0 --transport "$1"
		;;
	elf)
		exec "$LAB_XVMM" --kernel "$LAB_DIR/vmlinux" --initrd "$LAB_INITRD" --cmdline "$guest" \
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

peers=
[ ! -x "$LAB_DIR/bin/lkvm" ] || peers="$peers kvmtool"
[ ! -x "$LAB_DIR/bin/qemu" ] || peers="$peers qemu"
[ -n "$peers" ] || lab_skip "neither XVMM_LAB_KVMTOOL nor XVMM_LAB_QEMU is set"

tap_up tap0
