# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the unit tests, but for the slow ones, and of a cross build the fuzzers' seeds, on a kernel
# shows: with all they ask for
# set: extra
# limit: 400
. "$LAB_DIR/lib.sh"

lab_has unit
failures=0
export CK_TIMEOUT_MULTIPLIER=10
# What takes long under emulation, or may not.
slow='console control linux_image net_faults packed_ring ring_threads serial vhost_net vhost_user virtio_mmio'
: "${left_out:=$slow datapath_inprocess}"

# run NAME COMMAND...: shows what it says if it fails, else its last line.
run() {
	status=0 name=$1
	shift
	start=$(now_ms)
	timeout -s KILL 200 "$@" >"$LAB_TMP/out" 2>&1 || status=$?
	case $status in
	0 | 77)
		sed -n '$!{/SKIP/p}' "$LAB_TMP/out" # of one of its tests
		echo "$name: $(tail -n 1 "$LAB_TMP/out") ($(($(now_ms) - start)) ms)"
		;;
	*)
		echo "FAILED: $name, status $status"
		tail -n 20 "$LAB_TMP/out"
		failures=$((failures + 1))
		;;
	esac
}

for file in "$LAB_DIR"/unit/test_*; do
	case " $left_out " in
	*" ${file##*/test_} "*) echo "${file##*/}: SKIP: left out" ;;
	*) run "${file##*/}" "$file" ;;
	esac
done
for file in "$LAB_DIR"/seeds/fuzz_*; do
	[ ! -x "$file" ] || run "${file##*/}" "$file" "$LAB_DIR/seeds/${file##*/fuzz_}"/*
done
[ "$failures" = 0 ] || lab_fail "$failures of them"
