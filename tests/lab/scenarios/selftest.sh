# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: xvmm selftest: the device conforms to virtio 1.3 on both transports, with both ring formats
# set: extra
# limit: 500
. "$LAB_DIR/lib.sh"

# way TRANSPORT PACKED
way() {
	start=$(now_ms)
	"$LAB_XVMM" selftest --transport "$1" --packed "$2" >"$LAB_TMP/selftest.log" 2>&1 </dev/null ||
		lab_fail "$1, packed=$2: $(grep -A 1 -e '^not ok' -e '^Bail' "$LAB_TMP/selftest.log")"
	echo "$1, packed=$2: $(tail -n 1 "$LAB_TMP/selftest.log"), $(($(now_ms) - start)) ms"
}

way mmio on
way pci off
if [ "${more-on}" = on ]; then
	way mmio off
	way pci on
fi
