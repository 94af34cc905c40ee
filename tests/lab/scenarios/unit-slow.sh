# shellcheck shell=dash source=unit.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the same with the slow ones, but for those that assert that they take no time
# set: extra
# limit: 1500

left_out=datapath_inprocess
. "$LAB_DIR/scenarios/unit.sh"
