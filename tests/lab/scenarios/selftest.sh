# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: xvmm selftest: the device conforms to virtio 1.3 on both transports, with both ring formats
# set: extra
# limit: 500
. "$LAB_DIR/lib.sh"

for transport in mmio pci; do
	for packed in off on; do
		start=$(now_ms)
		"$LAB_XVMM" selftest --transport "$transport" --packed "$packed" >"$LAB_TMP/selftest.log" 2>&1 </dev/null ||
			lab_fail "$transport, packed=$packed: $(grep -A 1 -e '^not ok' -e '^Bail' "$LAB_TMP/selftest.log")"
		echo "$transport, packed=$packed: $(tail -n 1 "$LAB_TMP/selftest.log"), $(($(now_ms) - start)) ms"
	done
done
