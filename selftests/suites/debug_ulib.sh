#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The library's users of the module, on the debug kernel.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/suites/vm_suite debug 2 '' build/selftests/ulib/backend/test_* \
	build/selftests/ulib/pool/test_*
