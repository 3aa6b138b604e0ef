#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The worker pool: done in spite of failures.
cd "$(dirname "$0")/../.." || exit 1
prog=build/bin/examples/worker-pool
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
. selftests/lib/point.sh

has()	# status, last line
{
	[ "$rc" -eq "$1" ] && tail -n 1 "$tmp/out" | grep -q "$2"
}

"$prog" 0 >"$tmp/out" 2>"$tmp/err"; rc=$?
has 0 '^4 of 4 workers done, 0 restarts$'
point "without failures"
"$prog" >"$tmp/out" 2>"$tmp/err"; rc=$?
has 0 '^4 of 4 workers done, 3 restarts$' &&
	[ "$(grep -c 'ended with code 1' "$tmp/out")" -eq 3 ]
point "three failures, and what was counted is kept"
"$prog" 100000 >"$tmp/out" 2>"$tmp/err"; rc=$?
has 0 '^4 of 4 workers done, 4 restarts$'
point "each of them fails once"
for wrong in many -1 "1 2"; do
	# shellcheck disable=SC2086 # words
	"$prog" $wrong >"$tmp/out" 2>"$tmp/err"; rc=$?
	[ "$rc" -eq 2 ] && grep -q '^usage: worker-pool' "$tmp/err"
	point "'$wrong' is wrong usage"
done
echo "1..$n"
exit $bad
