# shellcheck shell=dash source=guests.sh
# SPDX-License-Identifier: Apache-2.0
# shows: a serial console under load, which takes an exit for each byte
# set: extra
# limit: 900
scripts=console
. "$LAB_DIR/scenarios/guests.sh"
