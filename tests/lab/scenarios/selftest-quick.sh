# shellcheck shell=dash source=selftest.sh
# SPDX-License-Identifier: Apache-2.0
# shows: half of selftest: each transport, and each ring format, once
# set: extra
# limit: 300
more=off
. "$LAB_DIR/scenarios/selftest.sh"
