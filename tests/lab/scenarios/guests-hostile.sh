# shellcheck shell=dash source=guests.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a driver that lies to xvmm's own datapath: the VM lives, a reset mends the device
# set: extra
# limit: 900
scripts=
. "$LAB_DIR/scenarios/guests.sh"

lab_has system
for kind in pci-off-registers pci-off-device mmio-on-descriptors mmio-off-rings; do
	transport=${kind%%-*} packed=${kind#*-}
	export TOPIC="${kind##*-}" NET_OPTIONS="transport=$transport,packed=${packed%-*}"
	echo "$kind:"
	system hostile
done
