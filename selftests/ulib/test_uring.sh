#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of io and ws once more, on loops that wait with io_uring. One of
# them looks at the poller's name, so that a fallback to epoll does not pass.
cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. selftests/lib/point.sh

if [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" = 2 ]; then
	echo "1..0 # SKIP io_uring is disabled; fix: sysctl kernel.io_uring_disabled=0"
	exit 77
fi
echo "KTAP version 1"
for t in "$O"/selftests/ulib/io/test_* "$O"/selftests/ulib/ws/test_*; do
	case $t in *.d) continue ;; esac
	PULSE_POLLER=io_uring selftests/run-one "$t" >"$tmp/out" 2>"$tmp/err"
	point "${t##*/ulib/} with io_uring"
done
[ "$n" -gt 10 ]
point "there were tests to run"
echo "1..$n"
exit $bad
