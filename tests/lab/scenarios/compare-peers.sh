# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: both transports next to kvmtool (XVMM_LAB_KVMTOOL=LKVM) and QEMU microvm (XVMM_LAB_QEMU=1)
# set: extra
# limit: 2400
. "$LAB_DIR/lib.sh"
# shellcheck source=../compare.sh
. "$LAB_DIR/compare.sh"
# shellcheck source=../compare_vmms.sh
. "$LAB_DIR/compare_vmms.sh"

guest_has iperf3 qperf
lab_has qperf
# shellcheck disable=SC2086 # names
compare $peers mmio pci
