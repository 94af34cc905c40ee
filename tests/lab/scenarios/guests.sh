# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the test guests: how they boot and end, their CPUs, the registers and link of their device
# set: extra
# limit: 240
. "$LAB_DIR/lib.sh"

lab_has system
export XVMM="$LAB_XVMM" GUESTS="$LAB_DIR/guests" PATIENCE=10
mkdir "$LAB_TMP/bin"
busybox --install -s "$LAB_TMP/bin"
export PATH="$LAB_DIR/bin:$PATH:$LAB_TMP/bin"

# system NAME: a script of tests/system.
system() {
	status=0
	start=$(now_ms)
	bash "$LAB_DIR/system/$1.sh" >"$LAB_TMP/out" 2>&1 </dev/null || status=$?
	echo "$1: status $status, $(grep -c '^ok' "$LAB_TMP/out") cases, $(($(now_ms) - start)) ms"
	[ "$status" = 0 ] || lab_fail "$1: $(grep -A 12 '^not ok' "$LAB_TMP/out" || tail -n 20 "$LAB_TMP/out")"
}

for name in ${scripts-boot exit cpus memory virtio gone}; do
	system "$name"
done
