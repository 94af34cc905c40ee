#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest "hostile" attacks a network device while a second one must go on. NET_OPTIONS: keys of
# --net that the guest takes as parameters, too. GUEST_OPTIONS: other parameters. TOPIC: which of
# its tricks. BACKEND: a vhost-user back-end that has the first device's rings, and ends if xvmm
# breaks the protocol's rules; unset: xvmm has them. Prints the guest's TAP.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

limit=150
prefix=("$GUESTS/echo_peer" 2) # at descriptors 10 and 11
attacked='fd=10,queue_size=2048'
parameters=${GUEST_OPTIONS-}
backend=
if [ -n "${BACKEND-}" ]; then
	attacked=vhost-user,socket=$work/vhost
	parameters+=' rings=elsewhere'
	"$BACKEND" --socket "$work/vhost" echo >"$work/backend" 2>&1 &
	backend=$!
fi

guest hostile --cpus 2 --net "$attacked,${NET_OPTIONS:?}" --net "fd=11,$NET_OPTIONS" \
	--cmdline "${NET_OPTIONS//,/ } topic=${TOPIC:?} $parameters"
cat "$work/out"
sed 's/^/# stderr: /' "$work/err"
echo "# exit status $status${left:+, and a process is left behind}"
if [ -n "$backend" ] && ! kill "$backend"; then
	tail -n 20 "$work/backend" | sed 's/^/# back-end: /'
	exit 1
fi
[ "$status" = 0 ] && [ -z "$left" ]
