# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
#
# Functions for the commands that scenarios run in the guest.

# A line for the scenario to look for: guest_wait, guest_said, guest_value.
say() {
	echo "lab: $*"
}

# The kernel's own modules, by name.
load() {
	for module in "$@"; do
		insmod "/modules/$module.ko" || say "module $module: failed"
	done
}

# What the kernel found of the machine.
report() {
	say "cpus=$(nproc)"
	say "memtotal=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
	ram=0
	grep '^[^ ].* : System RAM' /proc/iomem >/tmp/ram
	while read -r range rest; do
		ram=$((ram + 0x${range#*-} - 0x${range%-*} + 1))
	done </tmp/ram
	say "ram=$ram"
}

load_net() {
	load virtio_ring virtio virtio_mmio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
		failover net_failover virtio_net
	ip link set lo up
}

# net_dhcp: the NIC as DHCP says.
net_dhcp() {
	load_net
	cat >/tmp/dhcp <<-'END'
		#!/bin/busybox sh
		[ "$1" = bound ] || exit 0
		ip addr add "$ip/$subnet" dev "$interface"
		ip route add default via "$router"
		echo "nameserver $dns" >/etc/resolv.conf
	END
	chmod +x /tmp/dhcp
	mkdir -p /etc
	ip link set eth0 up
	udhcpc -q -n -i eth0 -s /tmp/dhcp
}

# net_up [ADDRESS]: the NIC at 10.0.2.2, or there; the host's end of the tap is 10.0.2.1.
net_up() {
	load_net
	ip addr add "${1:-10.0.2.2}/24" dev eth0
	ip link set eth0 up
}

# feature BIT: 1 if the driver of the NIC has accepted that virtio feature.
feature() {
	cut -c $(($1 + 1)) /sys/class/net/eth0/device/features
}

# received: how many packets the NIC has given to the kernel.
received() {
	cat /sys/class/net/eth0/statistics/rx_packets
}

# setting OPTION NAME: what ethtool OPTION eth0 says of NAME (the last time, where it comes twice).
setting() {
	ethtool "$1" eth0 | sed -n "s/^[[:space:]]*$2:[[:space:]]*//p" | tail -n 1
}

# say_queues PAIRS: how many packets each queue of the NIC has carried, as rx0=, tx0= and so on.
# Before, 16 connections from each CPU to a port of 10.0.2.1 where nobody listens: Linux transmits
# on the queue of the CPU, and that many answers reach each receive queue, whatever steers them.
# A few long streams may all miss one.
say_queues() {
	for queue in $(seq 0 $(($1 - 1))); do
		for _ in $(seq 16); do
			taskset -c "$queue" nc 10.0.2.1 9 </dev/null 2>/dev/null
		done
	done
	for queue in $(seq 0 $(($1 - 1))); do
		for way in rx tx; do
			say "$way$queue=$(setting -S "${way}_queue_${queue}_packets")"
		done
	done
}

# The kernel drops what the tty still holds when it powers off; setting a tty's
# mode waits until it is sent (TCSADRAIN).
power_off() {
	stty -echo
	poweroff -f
}

# write_device PORT ADDRESS VALUE: a byte to a device of xvmm's own: to its port on x86, on aarch64
# to its address.
write_device() {
	case $(uname -m) in
	x86_64) outb "$1" "$3" ;;
	aarch64) devmem "$2" 8 "$3" ;;
	esac
}

debug_exit() {
	write_device 0xf4 0x10020000 "$1"
}

guest_mark() {
	write_device 0xf8 0x10030000 "$1"
}

# Panics, and tells pvpanic; Debian's arm64 kernels have no driver of that, only its register.
panic() {
	if [ -e /modules/pvpanic-mmio.ko ]; then
		load pvpanic pvpanic-mmio
		echo c >/proc/sysrq-trigger
	fi
	say 'no driver of pvpanic'
	devmem 0x10010000 8 1
}

# Powers off when the power button is pressed, as a guest's acpid does it.
obey_power_button() {
	for module in button gpio_keys evdev; do
		[ ! -e "/modules/$module.ko" ] || load "$module"
	done
	[ -e /dev/input/event0 ] || say 'no power button'
	mkdir -p /etc/acpi/PWRF
	cat >/etc/acpi/PWRF/00000080 <<-'END'
		#!/bin/busybox sh
		. /lib.sh
		exec <>/dev/console >&0
		say power button pressed
		power_off
	END
	chmod +x /etc/acpi/PWRF/00000080
	acpid -f -l /dev/null &
	sleep 1
	say ready
	wait
}
