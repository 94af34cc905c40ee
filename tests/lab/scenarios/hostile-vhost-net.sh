# shellcheck shell=dash source=../hostile.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a driver that lies to vhost-net in its descriptors: the VM lives, a reset mends the device
# set: ci
# limit: 240
. "$LAB_DIR/hostile.sh"

lab_has hostile
hostile pci descriptors
