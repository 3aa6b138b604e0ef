#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 10^6 random park and wake pairs on the kernel backend, all of them: the other
# suites do a part of it on each kernel.
cd "$(dirname "$0")/../.." || exit 1
PULSE_BACKEND=kernel PULSE_TEST_SCALE=100 \
exec selftests/vm/run --kernel 6.12 --nodes 2 --timeout 1100 -- \
	selftests/run-suite --no-skip --timeout 900 --label million \
	build/selftests/ulib/backend/test_park_stress
