#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module on a kernel that looks for data races.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite kcsan 2 '' build/selftests/kmod/test_*
