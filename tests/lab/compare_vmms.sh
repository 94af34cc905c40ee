# shellcheck shell=dash source=compare.sh
# SPDX-License-Identifier: Apache-2.0
#
# xvmm, by transport, and other VMMs, for compare-peers, -vhost-net, -vhost-user and -boot: exec_vmm
# (compare.sh), and $peers, the names of those that are here, at least one. With -smp2 behind its name a
# guest has two vCPUs, with -locks the parameter noreplace-smp (docs/performance.md). What serves the
# rings is in $datapath: inprocess (unset), vhost-net, or vhost-user, whose back-end the scenario starts.

datapath=${datapath-inprocess} vhost=off kvmtool_net=mode=tap,tapif=tap0
[ "$datapath" != vhost-net ] || vhost=on kvmtool_net=$kvmtool_net,vhost=1
if [ "$datapath" = vhost-user ]; then
	xvmm_net="vhost-user,socket=$LAB_TMP/vhost"
	qemu_net="-object memory-backend-memfd,id=memory,size=256M,share=on -machine memory-backend=memory
		-chardev socket,id=peer,path=$LAB_TMP/vhost -netdev vhost-user,id=net,chardev=peer"
else
	xvmm_net="tap0,vhost=$vhost"
	qemu_net="-netdev tap,id=net,ifname=tap0,script=no,downscript=no,vhost=$vhost"
	tap_up tap0
fi

# exec_own KERNEL TRANSPORT
# shellcheck disable=SC2154 # guest: compare.sh's
exec_own() {
	exec "$LAB_XVMM" --kernel "$1" --initrd "$LAB_INITRD" --cmdline "$guest" \
		--cpus "$cpus" --memory 256M --net "$xvmm_net" --transport "$2"
}

# exec_qemu DEVICE MACHINE-OPTIONS: microvm, DEVICE being virtio's on one transport or the other.
exec_qemu() {
	# shellcheck disable=SC2086 # words
	exec "$LAB_DIR/bin/qemu" -L /usr/share/qemu -M "microvm$2" -enable-kvm -cpu host -smp "$cpus" -m 256 \
		-nodefaults -no-user-config -display none -serial stdio -no-reboot \
		-kernel "$LAB_KERNEL" -initrd "$LAB_INITRD" -append "$guest" $qemu_net \
		-global virtio-mmio.force-legacy=false -device "$1,netdev=net"
}

exec_vmm() {
	kind=${1%-smp2}
	kind=${kind%-locks} cpus=1
	case $1 in
	*-smp2) cpus=2 ;;
	*-locks) guest="noreplace-smp $guest" ;;
	esac
	case $kind in
	mmio | pci) exec_own "$LAB_KERNEL" "$kind" ;;
	elf) exec_own "$LAB_DIR/vmlinux" pci ;;
	kvmtool)
		exec "$LAB_DIR/bin/lkvm" run --kernel "$LAB_KERNEL" --initrd "$LAB_INITRD" \
			--params "$guest" --cpus "$cpus" --mem 256 --network "$kvmtool_net"
		;;
	qemu) exec_qemu virtio-net-device '' ;;
	qemu-pci) exec_qemu virtio-net-pci,romfile= ,pcie=on ;;
	esac
}

peers=
[ ! -x "$LAB_DIR/bin/lkvm" ] || [ "$datapath" = vhost-user ] || peers="$peers kvmtool"
[ ! -x "$LAB_DIR/bin/qemu" ] || peers="$peers qemu"
[ ! -x "$LAB_DIR/bin/qemu" ] || [ "$datapath" = inprocess ] || peers="$peers qemu-pci"
[ -n "$peers" ] || lab_skip "neither XVMM_LAB_KVMTOOL nor XVMM_LAB_QEMU is set, or none that can do this"
