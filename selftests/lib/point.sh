# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# KTAP points of shell tests, sourced. Where one fails, what $tmp/out and
# $tmp/err hold is shown. At the end: echo "1..$n"; exit $bad.
n=0
bad=0

point()	# name, and the status of what it says
{
	local rc=$?

	n=$((n + 1))
	if [ $rc -eq 0 ]; then
		echo "ok $n - $1"
	else
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null
		echo "not ok $n - $1"
		bad=1
	fi
}
