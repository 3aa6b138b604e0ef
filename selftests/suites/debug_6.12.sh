#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# As debug_kmod.sh, on a 6.12, which has what 6.1 lacks: io_uring commands.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug-6.12 2 '' build/selftests/kmod/test_*
