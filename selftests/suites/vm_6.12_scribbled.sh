#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# H08: what uses the module beside a context that hostile peers scribble on. Left out
# are tests that count contexts, workers or events of all, and that reload it.
cd "$(dirname "$0")/../.." || exit 1
SCRIBBLED=1 exec selftests/suites/vm_suite 6.12 2 '' \
	build/selftests/kmod/test_{hint,ioctl,kstate,nodes,scribble,wake_storm,watch} \
	build/selftests/ulib/backend/test_*
