#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest "hostile" attacks a network device while a second one must go on. NET_OPTIONS: keys of
# --net that the guest takes as parameters, too. GUEST_OPTIONS: other parameters. TOPIC: which of
# its tricks. Prints the guest's TAP.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
require_kvm

limit=150
prefix=("$GUESTS/echo_peer" 2) # at descriptors 10 and 11

guest hostile --cpus 2 --net "fd=10,queue_size=2048,${NET_OPTIONS:?}" \
	--net "fd=11,$NET_OPTIONS" \
	--cmdline "${NET_OPTIONS//,/ } topic=${TOPIC:?} ${GUEST_OPTIONS-}"
cat "$work/out"
sed 's/^/# stderr: /' "$work/err"
echo "# exit status $status${left:+, and a process is left behind}"
[ "$status" = 0 ] && [ -z "$left" ]
