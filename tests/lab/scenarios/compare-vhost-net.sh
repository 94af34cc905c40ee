# shellcheck shell=dash source=compare-peers.sh
# SPDX-License-Identifier: Apache-2.0
# shows: compare-peers by vhost-net, and QEMU microvm with virtio-pci as well
# set: extra
# limit: 2400

# shellcheck disable=SC2034 # compare_vmms.sh's
datapath="vhost-net"
. "$LAB_DIR/scenarios/compare-peers.sh"
