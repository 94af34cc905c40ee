# shellcheck shell=dash source=guests-programs.sh
# SPDX-License-Identifier: Apache-2.0
# shows: guests-programs with one transport, one ring format and one set of features
# set: extra
# limit: 420
. "$LAB_DIR/lib.sh"

lab_has system
# shellcheck disable=SC2034 # guests-programs'
more=off
. "$LAB_DIR/scenarios/guests-programs.sh"
