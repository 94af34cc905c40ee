# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: vhost-net's unit test, on a kernel that has it: rings, errors, 400 switches
# set: extra
# limit: 180
. "$LAB_DIR/lib.sh"

[ -x "$LAB_DIR/bin/test_vhost_net" ] || lab_skip "the unit tests are not built"
[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"
"$LAB_DIR/bin/test_vhost_net" >"$LAB_TMP/unit.log" 2>&1 || lab_fail "$(grep -v '^Running' "$LAB_TMP/unit.log")"
tail -n 1 "$LAB_TMP/unit.log"
