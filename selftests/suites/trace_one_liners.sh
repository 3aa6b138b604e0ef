#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of Documentation/tracing.md, with bpftrace, perf and tracefs.
cd "$(dirname "$0")/../.." || exit 1
exec selftests/vm/run --kernel 6.12 --nodes 2 --timeout 1500 -- \
	selftests/tracing/guest.sh
