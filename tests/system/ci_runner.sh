#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/ci/run: guests that pass, fail, panic and take too long, several at a time, in TAP and JUnit.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${SOURCE:?the project}"
require_kvm

runner=$SOURCE/examples/ci/run
mkdir "$work/images"
for name in a-passes b-fails c-panics d-hangs e-says f-passes 'g#TODO <passes>' h-three; do
	echo "$name" >"$work/images/$name.cpio"
done
: >"$work/images/i-empty.img"
echo >"$work/kernel"

# Test guests have no use for an initramfs: its name says which of them is run instead.
cat >"$work/xvmm" <<'END'
#!/bin/bash
arguments=()
while (($#)); do
	case $1 in
	--kernel) shift ;;
	--initrd)
		case ${2##*/} in
		b-*) arguments+=(--kernel "$GUESTS/hello.elf" --cmdline status=7) ;;
		c-*) arguments+=(--kernel "$GUESTS/pvpanic.elf") ;;
		d-*) arguments+=(--kernel "$GUESTS/spin.elf") ;;
		h-*) arguments+=(--kernel "$GUESTS/hello.elf" --cmdline status=3) ;;
		e-*) arguments+=(--kernel "$GUESTS/echo.elf" --cmdline 'count=99 echo=on' --timeout 1) ;;
		*) arguments+=(--kernel "$GUESTS/poweroff.elf") ;;
		esac
		arguments+=(--initrd "$2")
		shift
		;;
	--cmdline | --timeout) shift ;;
	*) arguments+=("$1") ;;
	esac
	shift
done
[[ " ${arguments[*]} " == *' --timeout '* ]] || arguments+=(--timeout "$((2 * ${PATIENCE:-1}))")
exec "$XVMM" "${arguments[@]}"
END
chmod +x "$work/xvmm"
export XVMM GUESTS

# runs ARGUMENT...: sets $status.
runs() {
	timeout "$((60 * ${PATIENCE:-1}))" "$runner" --xvmm "$work/xvmm" --kernel "$work/kernel" \
		"$@" >"$work/out" 2>"$work/err" </dev/null
	status=$? left=
}

runs --output "$work/logs" --jobs 3 --memory 64M "$work/images"
judge 'passes, failures, panics, hangs' 3 '^TAP version 14$' '^1\.\.9$' '^ok 1 - a-passes.cpio # time=' \
	'^not ok 2 - b-fails.cpio # the guest ended itself with status 7, time=' \
	"^not ok 3 - c-panics.cpio # the guest's kernel panicked" \
	'^not ok 4 - d-hangs.cpio # the time given to the guest ran out' '^not ok 5 - e-says.cpio' '^ok 6 - f-passes.cpio' \
	'^ok 7 - g\\#TODO <passes>.cpio # time' '^not ok 8 - h-three.cpio # the guest ended itself with status 3' \
	'^not ok 9 - i-empty.img # initrd .*: the file is empty' '^# hello by' '3 at a time$'
problem=
grep -q 'hello by' "$work/logs/b-fails.cpio.log" || problem='no log of a console'
[ "$(grep -c '<testcase ' "$work/logs/junit.xml")" = 9 ] || problem=${problem:-'not 9 cases in JUnit'}
[ "$(grep -c '<failure ' "$work/logs/junit.xml")" = 5 ] || problem=${problem:-'not 5 failures in JUnit'}
grep -q ' tests="9" failures="5" errors="1">' "$work/logs/junit.xml" || problem=${problem:-'wrong totals in JUnit'}
[ "$(grep -l '"guest-ended"' "$work"/logs/*.timeline.json | wc -l)" = 8 ] || problem=${problem:-'not 8 timelines'}
[ -z "$(ls "$work"/logs/*.status 2>/dev/null)" ] || problem=${problem:-'something is left over'}
python3=$(command -v python3)
[ -z "$python3" ] || "$python3" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' \
	"$work/logs/junit.xml" 2>"$work/err" || problem=${problem:-'JUnit is no XML'}
verdict 'logs, timelines and JUnit' "$problem"

# Interrupted, with one guest that has passed and others that wouldn't end: they do, and what is known is told.
rm "$work/images"/[b-ce-i]*
cp "$work/images/d-hangs.cpio" "$work/images/d-too.cpio"
for signal in INT TERM; do
	: >"$work/out"
	set -m
	PATIENCE=$((30 * ${PATIENCE:-1})) "$runner" --xvmm "$work/xvmm" --kernel "$work/kernel" \
		--output "$work/logs" --jobs 3 "$work/images" \
		>"$work/out" 2>"$work/err" </dev/null &
	pid=$!
	set +m
	await '^ok 1 - a-passes'
	for hangs in d-hangs d-too; do
		for ((i = 0; i < limit * 50; i++)); do
			grep -qs '^ready' "$work/logs/$hangs.cpio.log" && break
			sleep 0.02
		done
	done
	kill "-$signal" "-$pid" # as a terminal does
	wait "$pid"
	status=$? left=$(pgrep -g "$pid" -l)
	judge "interrupted by SIG$signal" $((128 + $(kill -l "$signal"))) '^Bail out! interrupted'
	grep -q ' tests="1" failures="0" errors="0">' "$work/logs/junit.xml" || verdict 'JUnit after it' "$(cat "$work/logs/junit.xml")"
	rm "$work/logs"/*
done

rm "$work/images"/d-*
cp "$work/images/a-passes.cpio" "$work/images/f-passes.cpio"
runs "$work/images"
judge 'all pass' 0 '^ok 2 - f-passes.cpio'
runs "$work/images" -- --bogus
judge 'an option that xvmm does not know' 3 "^not ok 1 .*unknown option '--bogus'" "^# xvmm: unknown option '--bogus'"
runs "$work/nowhere"
judge 'without a directory' 2
runs --kernel "$work/nowhere" "$work/images"
judge 'without a kernel' 2
for option in --jobs --cpus --memory; do
	runs "$option" some "$work/images"
	judge "$option some" 2
done
mkdir "$work/empty"
runs "$work/empty"
judge 'without images' 2
done_testing
