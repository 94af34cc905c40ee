# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: console input: a megabyte of any bytes piped at once loses nothing
# set: ci
# limit: 240
. "$LAB_DIR/lib.sh"

head -c 1048576 /dev/urandom >"$LAB_TMP/input"
expect_status 0 lab_xvmm '
	stty raw -echo
	say sum=$(head -c 1048576 | md5sum | cut -c 1-32)
' <"$LAB_TMP/input"
expect_value sum "$(md5sum <"$LAB_TMP/input" | cut -c 1-32)"
