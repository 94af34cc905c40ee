# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: 5 GiB of guest memory, the hole below 4 GiB kept free
# set: ci
# limit: 120
. "$LAB_DIR/lib.sh"

expect_status 0 lab_xvmm report --memory 5G
expect_ram 5120
