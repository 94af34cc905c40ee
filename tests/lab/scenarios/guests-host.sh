# shellcheck shell=dash source=guests.sh
# SPDX-License-Identifier: Apache-2.0
# shows: what users do on the host, and do wrong: --check, configuration files, the control socket,
# shows: options that can't be; and which threads are confined
# set: extra
# limit: 400
. "$LAB_DIR/lib.sh"

only_on_x86 "libslirp"
lab_has system
lab_has host_tools slirp
export UNIX_CAT="$LAB_DIR/bin/unix_cat"
scripts='check config control errors sandbox'
. "$LAB_DIR/scenarios/guests.sh"
