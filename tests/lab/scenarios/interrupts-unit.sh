# shellcheck shell=dash source=../lib.sh
# SPDX-License-Identifier: Apache-2.0
# shows: the unit tests of messages and pins, on a KVM that can run Linux
# set: extra
# limit: 180
. "$LAB_DIR/lib.sh"

lab_has unit
unit_test test_pci_msix
unit_test test_virtio_pci
