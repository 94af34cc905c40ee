# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: kexec into a second kernel with the network up, on both transports
# set: ci
# limit: 300
. "$LAB_DIR/lib.sh"

# A kernel that leaves takes the bus from PCI devices. Of virtio-mmio Linux 6.1 forgets the
# device, which goes on receiving into what is the next kernel's memory, and may hang that: the
# driver is taken off.
quiet_mmio='echo virtio0 >/sys/bus/virtio/drivers/virtio_net/unbind'
quiet_pci=:

tap_up tap0
guest_has kexec
for transport in mmio pci; do
	echo "# $transport"
	[ "$transport" = mmio ] && quiet=$quiet_mmio || quiet=$quiet_pci
	lab_start "
		net_up
		q=\$(printf '\\042')
		next='console=ttyS0 quiet lab.run='\$q'net_up; say second; sleep 1000'\$q
		IFS=
		kexec -l /boot/bzImage --initrd=/boot/guest.cpio --command-line=\$next
		say ready
		sleep 2
		$quiet
		kexec -e
	" --net "tap0,transport=$transport" --memory 768M
	guest_wait 'lab: ready' 60
	ping -q -i 0.01 10.0.2.2 >/dev/null 2>&1 & # the network is in use when the kernel goes
	traffic=$!
	guest_wait 'lab: second' 60
	kill "$traffic"
	# What has queued up meanwhile is answered at once, and would overflow the socket of a ping that
	# counts; this one's request is behind all that.
	until ping -q -c 1 -W 5 10.0.2.2 >/dev/null; do :; done
	ping -q -c 20 -i 0.05 -W 5 10.0.2.2 | tee "$LAB_TMP/ping"
	grep -q ' 0% packet loss' "$LAB_TMP/ping" || lab_fail "lost"
	lab_kill
done
