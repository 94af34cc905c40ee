# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the test guests run by the library, at a terminal, led by QMP, on a tap, by a vhost-user back-end
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"

lab_has system
export XVMM="$LAB_XVMM" GUESTS="$LAB_DIR/guests" PATIENCE=10 CK_TIMEOUT_MULTIPLIER=10
export BACKEND="$LAB_DIR/system/vhost-user-backend" KILLS=3 SWITCHES=3

chmod 0666 /dev/kvm # also for a user that a test becomes

# program NAME: a program of tests/system.
program() {
	status=0
	start=$(now_ms)
	"$LAB_DIR/system/$1_test" >"$LAB_TMP/out" 2>&1 </dev/null || status=$?
	echo "$1${NET_OPTIONS+ $NET_OPTIONS}: status $status, $(($(now_ms) - start)) ms, $(grep '^[0-9]*%' "$LAB_TMP/out")"
	[ "$status" = 0 ] || lab_fail "$1: $(tail -n 20 "$LAB_TMP/out")"
}

for name in api terminal timeline qmp; do
	program "$name"
done
# Features of the driver's (net_test.c), a few of what ctest goes through on x86: none, all, all
# with a guest that polls.
for options in pci,packed=off:7 $([ "${more-on}" = off ] || echo mmio,packed=off:0 mmio,packed=on:7 pci,packed=on:15); do
	export NET_OPTIONS="transport=${options%:*}" COMBINATION="${options#*:}"
	program net
	program vhost_user
done
