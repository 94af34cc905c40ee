# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: VMs ended at random moments leave nothing behind; complete boots in between
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

duration=45

# How many processes there are in this scenario's PID namespace.
processes() {
	set -- /proc/[0-9]*
	echo $#
}

tap_up tap0
alone=$(processes)
end=$(($(now_ms) + duration * 1000))
ended=0 boots=0
while [ "$(now_ms)" -lt "$end" ]; do
	moment=$(($(od -An -N2 -tu2 /dev/urandom) % 2000))
	lab_start 'sleep 1000' --net tap0 --cpus 2
	usleep "${moment}000"
	if [ "$((ended % 2))" -eq 0 ]; then
		while lab_running; do # two at once may count as one
			kill -TERM "$LAB_PID" 2>/dev/null || break
			usleep 50000
		done
	else
		kill -KILL "$LAB_PID"
	fi
	lab_wait || :
	[ "$(processes)" -eq "$alone" ] || lab_fail "a process is left after $moment ms: $(ps)"
	ended=$((ended + 1))

	if [ "$((ended % 8))" -eq 0 ]; then
		expect_status 0 lab_xvmm 'net_up; report' --net tap0 --cpus 2
		expect_value cpus 2 >/dev/null
		boots=$((boots + 1))
	fi
done
echo "$ended ended at random moments within 2 s, $boots booted and powered off, in $duration s"
