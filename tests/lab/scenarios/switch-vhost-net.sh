# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a guest's rings move between xvmm and vhost-net under traffic, and nothing is lost
# set: ci
# limit: 150
. "$LAB_DIR/lib.sh"
# shellcheck source=../switch.sh
. "$LAB_DIR/switch.sh"

guest_has iperf3 numbered tools
tap_up tap0
switch_under_traffic 100 tap0 tap0,vhost=on tap0,vhost=off tap0,vhost=on
