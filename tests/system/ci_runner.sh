#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/ci/run: guests that pass, fail, panic and take too long, several at a time, in TAP and JUnit.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${SOURCE:?the project}"
require_kvm

runner=$SOURCE/examples/ci/run
mkdir "$work/images"
for name in a-passes b-fails c-panics d-hangs e-says f-passes; do
	echo "$name" >"$work/images/$name.cpio"
done

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
[[ " ${arguments[*]} " == *' --timeout '* ]] || arguments+=(--timeout 2)
exec "$XVMM" "${arguments[@]}"
END
chmod +x "$work/xvmm"
export XVMM GUESTS

# runs ARGUMENT...: sets $status.
runs() {
	timeout 60 "$runner" --xvmm "$work/xvmm" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$? left=
}

runs --kernel k --output "$work/logs" --jobs 3 --memory 64M "$work/images"
judge 'passes, failures, panics, hangs' 1 '^TAP version 14$' '^1\.\.6$' '^ok 1 - a-passes.cpio # time=' \
	'^not ok 2 - b-fails.cpio # status 7, time=' '^not ok 3 - c-panics.cpio # the guest panicked' \
	'^not ok 4 - d-hangs.cpio # not within' '^not ok 5 - e-says.cpio' '^ok 6 - f-passes.cpio' \
	'^# hello by' '3 at a time$'
problem=
grep -q 'hello by' "$work/logs/b-fails.cpio.log" || problem='no log of a console'
[ "$(grep -c '<testcase ' "$work/logs/junit.xml")" = 6 ] || problem=${problem:-'not 6 cases in JUnit'}
[ "$(grep -c '<failure ' "$work/logs/junit.xml")" = 4 ] || problem=${problem:-'not 4 failures in JUnit'}
[ "$(grep -l '"guest-ended"' "$work"/logs/*.timeline.json | wc -l)" = 6 ] || problem=${problem:-'not 6 timelines'}
python3=$(command -v python3)
[ -z "$python3" ] || "$python3" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' \
	"$work/logs/junit.xml" 2>"$work/err" || problem=${problem:-'JUnit is no XML'}
verdict 'logs, timelines and JUnit' "$problem"

rm "$work/images"/[b-e]-*
runs --kernel k "$work/images"
judge 'all pass' 0 '^ok 2 - f-passes.cpio'
runs --kernel k "$work/images" -- --bogus
judge 'an option that xvmm does not know' 1 '^not ok 1 .*wrong options' "^# xvmm: unknown option '--bogus'"
runs "$work/images"
judge 'without a kernel' 2
runs --kernel k "$work/nowhere"
judge 'without a directory' 2
mkdir "$work/empty"
runs --kernel k "$work/empty"
judge 'without images' 2
done_testing
