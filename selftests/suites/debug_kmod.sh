#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module under KASAN, UBSAN, lockdep, kmemleak and fault injection.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug 2 '' build/selftests/kmod/test_*
