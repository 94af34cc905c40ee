# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the same, 1000 switches
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"
# shellcheck source=../switch.sh
. "$LAB_DIR/switch.sh"

guest_has iperf3 numbered tools
tap_up tap0
stream_seconds=200 switch_under_traffic 1000 tap0 tap0,vhost=on tap0,vhost=off tap0,vhost=on
