#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# As debug_storm.sh, with the news of switches by tracepoints.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug 2 state_source=tracepoint \
	build/selftests/storm/test_storm
