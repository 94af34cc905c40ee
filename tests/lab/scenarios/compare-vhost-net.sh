# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: compare-peers by vhost-net, and QEMU microvm with virtio-pci as well
# set: extra
# limit: 2400
datapath="vhost-net"
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"
# shellcheck source=../compare_vmms.sh
. "$LAB_DIR/compare_vmms.sh"

guest_has iperf3 qperf
lab_has qperf
# shellcheck disable=SC2086 # names
compare $peers mmio pci
