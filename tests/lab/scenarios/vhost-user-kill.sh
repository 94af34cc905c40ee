# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: testpmd is killed again and again, and the guest's TCP connection through it survives
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"
# shellcheck source=../kill.sh
. "$LAB_DIR/kill.sh"

lab_has testpmd
guest_has iperf3
kill_under_traffic 8
