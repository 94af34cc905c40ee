# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the same 200 times
# set: extra
# limit: 2400
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"
# shellcheck source=../kill.sh
. "$LAB_DIR/kill.sh"

lab_has testpmd
guest_has iperf3
kill_under_traffic 200
