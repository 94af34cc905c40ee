# shellcheck shell=dash source=lib.sh
# SPDX-License-Identifier: Apache-2.0
#
# A guest whose network device moves between datapaths under traffic, for the switch-* scenarios,
# which say: guest_has iperf3 numbered tools; switch_under_traffic COUNT DEVICE NET SPEC SPEC. DEVICE
# is the host's end of the guest's network.

# switch_times COUNT SPEC SPEC: from one to the other and back, until there is no $LAB_TMP/traffic,
# but COUNT times at least. Prints how often.
switch_times() {
	count=0
	least=$1
	shift
	while [ -e "$LAB_TMP/traffic" ] || [ "$count" -lt "$least" ]; do
		for spec in "$@"; do
			"$LAB_XVMM" ctl "$LAB_TMP/control" net-switch net0 "$spec" >&2
			count=$((count + 1))
		done
	done
	echo "$count"
}

# with_switches COUNT SPEC SPEC COMMAND...: runs COMMAND and switches meanwhile.
with_switches() {
	: >"$LAB_TMP/traffic"
	switch_times "$1" "$2" "$3" >"$LAB_TMP/switches" 2>"$LAB_TMP/switch.log" &
	switcher=$!
	shift 3
	"$@"
	rm "$LAB_TMP/traffic"
	wait "$switcher" || lab_fail "a switch failed"
	echo "# $(cat "$LAB_TMP/switches") switches; rings paused for" \
		"$(sed -n 's/.*"pause-us": //p' "$LAB_TMP/switch.log" | sort -n | tail -n 1) us at most"
}

# The stream is longer than the switches take, or they go on until it ends.
numbered_streams() {
	numbered receive 5002 "$datagrams" 5 >"$LAB_TMP/out" 2>"$LAB_TMP/lost.log" &
	receiver=$!
	guest_wait 'lab: receiving' 30
	# What waits for an answer to ARP is overtaken by what comes when that is there.
	ping -c 1 -W 5 10.0.2.2 >/dev/null
	sleep 1
	numbered send 10.0.2.2 5001 "$datagrams" "$per_second"
	wait "$receiver"
	guest_wait 'lab: in ' 60
}

# retransmits OPTION...: of a TCP run, as its sender counts them. Only what was lost is to count, not
# what was late on this slow machine, hence the long timeouts (rto_min) of both ends' routes, and no
# tail loss probes (tcp_early_retrans), which resend after two round trips without an answer.
retransmits() {
	iperf3 -c 10.0.2.2 -t "$seconds" -f m "$@" >"$LAB_TMP/iperf3.log"
	sed -n 's/^\[ *[0-9]*\]\(.*\)receiver/# \1/p' "$LAB_TMP/iperf3.log"
	awk '/sender$/ { print $9 }' "$LAB_TMP/iperf3.log" >"$LAB_TMP/retransmits"
}

expect_retransmits() {
	echo "# retransmits $1: $(cat "$LAB_TMP/retransmits"), without switching $2"
	[ "${lossless:-yes}" = no ] || [ "$(cat "$LAB_TMP/retransmits")" -le "$2" ] ||
		lab_fail "switching costs retransmits"
}

# With lossless=no what is lost while the device moves to another port is shown, and no more; but
# TCP goes on.
switch_under_traffic() {
	least=$1 device=$2 net=$3 first=$4 second=$5
	per_second=500 datagrams=$((per_second * ${stream_seconds:-15})) seconds=${tcp_seconds:-5}

	ip link set "$device" txqueuelen 10000
	echo 0 >/proc/sys/net/ipv4/tcp_early_retrans
	ip route change 10.0.2.0/24 dev "$device" src 10.0.2.1 rto_min "${rto_min:-5s}"
	lab_start "
		net_up
		echo 0 >/proc/sys/net/ipv4/tcp_early_retrans
		/usr/bin/ip route change 10.0.2.0/24 dev eth0 src 10.0.2.2 rto_min ${rto_min:-5s}
		say ready
		numbered receive 5001 $datagrams 5 >/tmp/in &
		say receiving
		sleep 2
		numbered send 10.0.2.1 5002 $datagrams $per_second
		wait
		say in \$(cat /tmp/in)
		iperf3 -s
	" --net "$net" --control "$LAB_TMP/control"
	guest_wait 'lab: ready' 60
	with_switches "$least" "$first" "$second" numbered_streams
	echo "host to guest: $(guest_lines in)"
	echo "guest to host: $(cat "$LAB_TMP/out")"
	for stream in "$(guest_lines in)" "$(cat "$LAB_TMP/out")"; do
		case ${lossless:-yes}$stream in
		no*) ;;
		*"received=$datagrams lost=0 repeated=0 reordered=0 "*) ;;
		*) lab_fail "not $datagrams datagrams, each once and in order" ;;
		esac
	done
	sleep 1
	for way in '' -R; do
		# shellcheck disable=SC2086 # no option, or one
		retransmits $way
		quiet=$(cat "$LAB_TMP/retransmits")
		# shellcheck disable=SC2086
		with_switches 0 "$first" "$second" retransmits $way
		expect_retransmits "${way:-host to guest}" "$quiet"
	done
	lab_kill
}
