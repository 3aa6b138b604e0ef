#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two minutes of everything at once, or PULSE_STORM_SECONDS.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug 2 '' build/selftests/storm/test_storm
