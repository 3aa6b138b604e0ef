#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two minutes of everything at once on a kernel as users have it.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite 7.2 2 '' build/selftests/storm/test_storm
