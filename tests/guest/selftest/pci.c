/* SPDX-License-Identifier: Apache-2.0 */
#include "selftest/selftest.h"

const struct test_group pci_group = {NULL, 0};
