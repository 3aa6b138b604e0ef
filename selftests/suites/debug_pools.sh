#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pools beside each other on the debug kernel; all 64 of them for ten minutes with
#	PULSE_TEST_SCALE=100 PULSE_STORM_SECONDS=600
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug 2 '' build/selftests/storm/test_pools
