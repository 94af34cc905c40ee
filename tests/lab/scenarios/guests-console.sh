# shellcheck shell=dash source=guests.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a serial console under load, which takes an exit for each byte
# set: extra
# limit: 900
. "$LAB_DIR/lib.sh"

lab_has system
scripts=console
. "$LAB_DIR/scenarios/guests.sh"
