# shellcheck shell=dash source=../hostile.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a driver that lies to vhost-net by all means, on both transports
# set: extra
# limit: 900
. "$LAB_DIR/hostile.sh"

lab_has hostile
for transport in mmio pci; do
	for topic in descriptors rings device registers; do
		hostile "$transport" "$topic"
	done
done
