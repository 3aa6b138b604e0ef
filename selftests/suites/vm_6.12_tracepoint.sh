#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module as it is built for a kernel without preempt notifiers: the news of
# switches comes by tracepoints.
cd "$(dirname "$0")/../.." || exit 1
out=build/kmod/6.12-no-notifiers
PULSE_NOTIFIERS=n selftests/vm/build-module 6.12 $out >&2 || exit 1
MODULE=$out/pulse.ko exec selftests/suites/vm_suite 6.12 2 '' \
	build/selftests/kmod/test_* build/selftests/ulib/backend/test_park* \
	build/selftests/ulib/backend/test_events
