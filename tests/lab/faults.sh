# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
# For scenarios in which calls of xvmm's fail while it serves a guest by vhost-net, one after the
# other: tests/faults/session_test. A scenario that sources it says "lab_has faults".
. "$LAB_DIR/lib.sh"

[ -c /dev/vhost-net ] || lab_skip "no /dev/vhost-net; try: modprobe vhost_net"

# faults PHASE: all that can fail then, or, with CALLS set, what that names.
faults() {
	echo "# $1"
	XVMM=$LAB_XVMM GUESTS=$LAB_DIR/bin SHIM=$LAB_DIR/bin/libfault_shim.so DATAPATH=vhost-net \
		SANDBOX=on PHASE=$1 "$LAB_DIR/bin/session_test" >"$LAB_TMP/faults.log" 2>&1 ||
		lab_fail "$(grep -v '^Running' "$LAB_TMP/faults.log")"
	tail -n 1 "$LAB_TMP/faults.log"
}
