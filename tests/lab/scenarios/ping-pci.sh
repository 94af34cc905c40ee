# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: ping over virtio-pci with MSI-X; the driver unbinds, the function resets, all goes on
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"
LAB_QUICK=

tap_up tap0
# shellcheck disable=SC2016 # for the guest's shell
lab_start '
	net_up
	say guest-to-host: $(ping -q -c 50 -i 0.05 10.0.2.1)
	grep virtio0 /proc/interrupts | while read -r line; do say irq: $line; done
	cd /sys/bus/pci/drivers/virtio-pci
	for reset in no yes; do
		echo 0000:00:01.0 >unbind
		[ $reset = no ] || { echo 1 >/sys/bus/pci/devices/0000:00:01.0/reset && say was reset; }
		echo 0000:00:01.0 >bind
		ip addr add 10.0.2.2/24 dev eth0
		ip link set eth0 up
		say rebound-$reset: $(ping -q -c 20 -i 0.05 10.0.2.1)
	done
	say ready
	sleep 1000
' --net tap0,transport=pci
guest_wait 'lab: ready' 60
guest_lines irq
guest_lines guest-to-host
guest_lines was
guest_lines rebound
guest_said '50 packets transmitted, 50 packets received' || lab_fail "guest to host"
guest_said 'irq:.*\(PCI\|ITS\)-MSI.*virtio0-input' || lab_fail "no MSI-X"
guest_said 'was reset' || lab_fail "function reset"
[ "$(grep -c 'rebound.* 20 packets received' "$LAB_TMP/console.log")" = 2 ] || lab_fail "after unbind"
ping -q -c 50 -i 0.05 10.0.2.2 | tee "$LAB_TMP/ping"
grep -q ' 50 packets received' "$LAB_TMP/ping" || lab_fail "host to guest"
