#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The virtio-net device as a driver sees it: its registers.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm
require_network_namespace

ip tuntap add tap0 mode tap
ip link set tap0 up

guest virtio-probe --net tap0,transport=mmio
judge 'registers of virtio-mmio' 0
guest virtio-probe --net tap0,mac=02:00:00:00:00:01,mtu=1400,transport=mmio --cmdline mtu=1400
judge 'MAC address and MTU as given' 0 '^# MAC 02:00:00:00:00:01$' 'mtu is 1400$'
ip tuntap add tapmq mode tap multi_queue
ip link set tapmq up
guest virtio-probe --net tapmq,transport=mmio
judge 'one queue of a multi-queue tap' 0

done_testing
