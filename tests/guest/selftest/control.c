/* SPDX-License-Identifier: Apache-2.0 */
#include "selftest/selftest.h"

const struct test_group control_group = {NULL, 0};
