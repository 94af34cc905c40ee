# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: DPDK's testpmd serves a guest's rings, and answers its pings
# set: ci
# limit: 180
. "$LAB_DIR/lib.sh"
# shellcheck source=../peers.sh
. "$LAB_DIR/peers.sh"

lab_has testpmd
testpmd_start pmd "$LAB_TMP/vhost" icmpecho
lab_start 'net_up; ping -q -c 100 -i 0.02 -W 5 10.0.2.9' --net "vhost-user,socket=$LAB_TMP/vhost"
guest_wait ' 0% packet loss' 90
expect_status 0 lab_wait
