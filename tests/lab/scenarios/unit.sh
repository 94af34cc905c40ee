# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the unit tests and, of a cross build, the fuzzers' seeds, on a kernel with all they ask for
# set: extra
# limit: 1500
. "$LAB_DIR/lib.sh"

lab_has unit
failures=0

# run NAME COMMAND...: shows what it says if it fails, else its last line.
run() {
	status=0 name=$1
	shift
	start=$(now_ms)
	timeout -s KILL 300 "$@" >"$LAB_TMP/out" 2>&1 || status=$?
	case $status in
	0 | 77) echo "$name: $(tail -n 1 "$LAB_TMP/out") ($(($(now_ms) - start)) ms)" ;;
	*)
		echo "FAILED: $name, status $status"
		tail -n 20 "$LAB_TMP/out"
		failures=$((failures + 1))
		;;
	esac
}

for file in "$LAB_DIR"/unit/test_*; do
	run "${file##*/}" "$file"
done
for file in "$LAB_DIR"/seeds/fuzz_*; do
	[ ! -x "$file" ] || run "${file##*/}" "$file" "$LAB_DIR/seeds/${file##*/fuzz_}"/*
done
[ "$failures" = 0 ] || lab_fail "$failures of them"
