# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vhost-net's unit test, on a kernel that has it: rings, errors, 400 switches
# set: extra
# limit: 180
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"
lab_has unit
unit_test test_vhost_net
