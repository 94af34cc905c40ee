# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: Linux negotiates packed rings with packed=on and iperf3 runs over them, on both transports
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

VIRTIO_F_RING_PACKED=34
tap_up tap0
guest_has iperf3
for transport in mmio pci; do
	for packed in on off; do
		lab_start "
			net_up
			say packed=\$(feature $VIRTIO_F_RING_PACKED)
			say ready
			iperf3 -s
		" --net "tap0,transport=$transport,packed=$packed"
		guest_wait 'lab: ready' 60
		sleep 1
		case $packed in
		on) expect_value packed 1 ;;
		off) expect_value packed 0 ;;
		esac
		for way in '' -R; do
			# shellcheck disable=SC2086 # no option, or one
			iperf3 -c 10.0.2.2 -t 2 -f m $way |
				sed -n "s/^\[ *[0-9]*\]\(.*\)receiver/$transport packed=$packed $way\1/p"
		done
		lab_kill
	done
done
