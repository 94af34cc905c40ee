# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the driver unbinds and binds 100 times under traffic; on PCI the transport's, too, and a function reset
# set: ci
# limit: 400
. "$LAB_DIR/lib.sh"

tap_up tap0
for transport in mmio pci; do
	echo "# $transport"
	lab_start "
		net_up
		driver=/sys/bus/virtio/drivers/virtio_net
		again() {
			ip addr add 10.0.2.2/24 dev eth0
			ip link set eth0 up
		}
		say ready
		for i in \$(seq 100); do
			echo virtio0 >\$driver/unbind
			echo virtio0 >\$driver/bind
			again
		done
		say rebound
		function=/sys/bus/pci/devices/0000:00:01.0
		if [ -e \$function ]; then
			for i in \$(seq 20); do
				echo \${function##*/} >/sys/bus/pci/drivers/virtio-pci/unbind
				echo 1 >\$function/reset
				echo \${function##*/} >/sys/bus/pci/drivers/virtio-pci/bind
				again
			done
		fi
		say waits
		read -r line
		say ping=\$(ping -q -c 20 -i 0.05 10.0.2.1 | grep -c ' 0%')
		say done
		sleep 1000
	" --net "tap0,transport=$transport" --cpus 2
	guest_wait 'lab: ready' 60
	ping -q -i 0.002 10.0.2.2 >/dev/null 2>&1 &
	traffic=$!
	guest_wait 'lab: waits' 180
	# The socket of the guest's ping would have to take in the traffic, too, and has little room.
	kill "$traffic"
	echo >&9
	guest_wait 'lab: done' 30
	expect_value ping 1
	lab_kill
done
