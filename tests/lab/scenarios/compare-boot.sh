# shellcheck shell=dash source=compare-peers.sh
# SPDX-License-Identifier: Apache-2.0
# shows: compare-peers without traffic: how soon the guest and its init begin, and from which image
# set: extra
# limit: 900
boot_only=on
. "$LAB_DIR/scenarios/compare-peers.sh"
