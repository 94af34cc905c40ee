# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: four vCPUs are found and run
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 0 lab_xvmm '
	report
	for cpu in 0 1 2 3; do
		say ran-on-$cpu=$(taskset -c $cpu cut -d \  -f 39 /proc/self/stat)
	done
' --cpus 4
expect_value cpus 4
for cpu in 0 1 2 3; do
	expect_value "ran-on-$cpu" "$cpu"
done
