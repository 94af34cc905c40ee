# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: DPDK's virtio driver in the guest answers pings, on split and packed rings
# set: extra
# limit: 240
. "$LAB_DIR/lib.sh"

# testpmd polls, forwards in mode icmpecho, and ends with its standard input.
tap_up tap0
guest_has dpdk
for options in packed=off packed=off,in_order=off,mrg_rxbuf=off packed=on packed=on,in_order=off; do
	echo "# $options"
	lab_start '
		chmod 755 /
		load uio uio_pci_generic
		echo 64 >/proc/sys/vm/nr_hugepages
		mkdir -p /dev/hugepages /var/run
		mount -t hugetlbfs none /dev/hugepages
		echo 1af4 1041 >/sys/bus/pci/drivers/uio_pci_generic/new_id
		sleep 1000 | dpdk-testpmd -l 0,1 -a 0000:00:01.0 -- --total-num-mbufs=2048 --forward-mode=icmpecho --auto-start
	' --net "tap0,transport=pci,$options" --cpus 2 --memory 1G
	guest_wait 'Press enter to exit' 60
	ping -q -c 100 -i 0.02 -W 5 10.0.2.2 | tee "$LAB_TMP/ping"
	grep -q ' 0% packet loss' "$LAB_TMP/ping" || lab_fail "lost"
	lab_kill
done
