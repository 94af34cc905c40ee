# shellcheck shell=dash source=console-in.sh
# SPDX-License-Identifier: Apache-2.0
# shows: console input: a megabyte of any bytes at once loses nothing
# set: extra
# limit: 600

size=1048576
. "$LAB_DIR/scenarios/console-in.sh"
