# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the unit tests of messages and pins, on a KVM that can run Linux
# set: extra
# limit: 180
. "$LAB_DIR/lib.sh"

for test in test_pci_msix test_virtio_pci; do
	[ -x "$LAB_DIR/bin/$test" ] || lab_skip "the unit tests are not built"
	"$LAB_DIR/bin/$test" >"$LAB_TMP/unit.log" 2>&1 || lab_fail "$(grep -v '^Running' "$LAB_TMP/unit.log")"
	! grep '^SKIP' "$LAB_TMP/unit.log" || lab_fail "$test: without KVM"
	tail -n 1 "$LAB_TMP/unit.log"
done
