# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: ping over virtio-pci by the interrupt pin, to a guest that uses no MSI-X
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

tap_up tap0
LAB_APPEND=pci=nomsi
# shellcheck disable=SC2016 # for the guest's shell
lab_start '
	net_up
	say guest-to-host: $(ping -q -c 50 -i 0.05 10.0.2.1)
	say irq: $(grep virtio0 /proc/interrupts)
	say ready
	sleep 1000
' --net tap0 --transport pci
guest_wait 'lab: ready' 60
guest_lines guest-to-host
guest_lines irq
guest_said '50 packets transmitted, 50 packets received' || lab_fail "guest to host"
guest_said 'irq:.*\(IO-APIC 11-fasteoi\|GIC\(v3\|-0\) 37 Level\) virtio0' || lab_fail "not by the pin"
ping -q -c 50 -i 0.05 10.0.2.2 | tee "$LAB_TMP/ping"
grep -q ' 50 packets received' "$LAB_TMP/ping" || lab_fail "host to guest"
