# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: virtio-pci: interrupts move between CPUs under traffic, the driver rebinds 100 times
# set: extra
# limit: 400
. "$LAB_DIR/lib.sh"

tap_up tap0
# shellcheck disable=SC2016 # for the guest's shell
lab_start '
	net_up
	ping -q -c 1 10.0.2.1
	irqs=$(sed -n s/:.*virtio0-.*put.*//p /proc/interrupts)
	say ready
	for i in $(seq 300); do
		for irq in $irqs; do echo $((i % 2 + 1)) >/proc/irq/$irq/smp_affinity; done
		sleep 0.05
	done
	say moved: $(ping -q -c 20 -i 0.05 10.0.2.1)
	cd /sys/bus/pci/drivers/virtio-pci
	for i in $(seq 100); do
		echo 0000:00:01.0 >unbind
		[ $((i % 10)) != 0 ] || echo 1 >/sys/bus/pci/devices/0000:00:01.0/reset
		echo 0000:00:01.0 >bind
		ip addr add 10.0.2.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 1 -W 5 10.0.2.1 >/tmp/ping && say answered
	done
	say done
' --net tap0,transport=pci --cpus 2
guest_wait 'lab: ready' 60
ping -q -i 0.01 -c 500 10.0.2.2 | tee "$LAB_TMP/ping"
! guest_said 'lab: moved' || lab_fail "the interrupts didn't move all the time"
grep -q ' 500 packets received' "$LAB_TMP/ping" || lab_fail "while the interrupts moved"
guest_wait 'lab: moved' 60
guest_lines moved
guest_said 'moved:.* 20 packets received' || lab_fail "after the interrupts moved"
while lab_running && ! guest_said 'lab: done'; do
	ping -q -i 0.002 -c 500 10.0.2.2 >/dev/null 2>&1 || :
done
guest_said 'lab: done' || lab_fail "the guest didn't finish"
[ "$(grep -c 'lab: answered' "$LAB_TMP/console.log")" = 100 ] ||
	lab_fail "only $(grep -c 'lab: answered' "$LAB_TMP/console.log") of 100 times"
expect_status 0 lab_wait
