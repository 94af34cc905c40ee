# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 512 MiB of guest memory, private and shared
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

for shared in on off; do
	expect_status 0 lab_xvmm report --memory "512M,shared=$shared"
	expect_ram 512
done
