# shellcheck shell=dash source=../faults.sh
# SPDX-License-Identifier: Apache-2.0
# shows: each call of a VM on vhost-net fails once, its broker's, too
# set: extra
# limit: 1800
. "$LAB_DIR/faults.sh"

lab_has faults
for phase in start running stopping; do
	faults "$phase"
done
