# shellcheck shell=dash source=../faults.sh
# SPDX-License-Identifier: Apache-2.0
# shows: each ioctl of vhost-net fails once while a guest runs and its device moves
# set: ci
# limit: 240
. "$LAB_DIR/faults.sh"

lab_has faults
export CALLS='an ioctl of vhost-net'
faults running
