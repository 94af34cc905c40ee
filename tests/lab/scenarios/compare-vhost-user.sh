# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: compare-peers by vhost-user, which kvmtool has not: testpmd carries packets to a tap
# set: extra
# limit: 2400
datapath="vhost-user"
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"
# shellcheck source=../compare_vmms.sh
. "$LAB_DIR/compare_vmms.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

guest_has iperf3 qperf
lab_has testpmd qperf
testpmd_start pmdtap "$LAB_TMP/vhost" io
testpmd_tap_up pmdtap
# shellcheck disable=SC2086 # names
compare $peers mmio pci
