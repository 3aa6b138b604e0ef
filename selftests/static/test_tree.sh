#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What holds of the tree itself, not of a run of it.
cd "$(dirname "$0")/../.." || exit 1
n=0
bad=0
point()	# name command...
{
	local name=$1 out

	shift
	n=$((n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		bad=1
	fi
	[ -n "$out" ] && sed 's/^#\? \?/# /' <<<"$out"
}
no_mirror_host()
{
	! git grep -nIE 'https?://[a-z0-9.]*debian\.org|snapshot\.debian|archive\.ubuntu' -- . ':!LICENSES'
}
# Each number of the list of faults is named by a test.
faults_have_tests()
{
	local id bad=0

	while read -r id; do
		if ! grep -rqwE --include='*.[ch]' --include='*.sh' --include='*.py' \
				"$id" selftests; then
			echo "$id: no test names it"
			bad=1
		fi
	done < <(grep -oE '^[A-Z][0-9]{2}' selftests/static/faults)
	return $bad
}
# Each test and function that the table of contracts names exists.
contracts_are_kept()
{
	local table=Documentation/design/contracts.md file test fn bad=0

	while IFS=: read -r file test; do
		if ! grep -qE "(^KT_TEST\\(|\bOF\\(k, )${test# }\\)" "$file"; then
			echo "$file has no test ${test# }"
			bad=1
		fi
	done < <(grep -oE 'selftests/[a-z_/]+\.[ch]: [a-z_0-9]+' "$table")
	for fn in $(grep -oE '`pulse_[a-z_0-9]+`' "$table" | tr -d '`'); do
		if ! grep -qE "\\b$fn\\(" include/pulse-u/*.h; then
			echo "there is no $fn()"
			bad=1
		fi
	done
	return $bad
}
# gcc leaves out a call of a function that does nothing but __builtin_prefetch().
fetches_stay()
{
	! git grep -n '__builtin_prefetch' -- 'ulib/*.h' ':!ulib/base/base.h'
}
echo "KTAP version 1"
point "a folder includes only folders below it" scripts/check-layers
point "files have a licence, are not too long and leave nothing undone" scripts/check-size
point "public headers compile on their own in C99, C11, C17 and C++17" scripts/check-headers
point "symbol map, public headers and library agree" scripts/check-map
point "manual pages agree with the headers" scripts/check-man
point "no package mirror is named" no_mirror_host
point "each feature of the table has a function and a test" scripts/check-features
point "each fault of the list is named by a test" faults_have_tests
point "each contract has its function and its test" contracts_are_kept
point "fetches ahead go by pulse__fetch_to_read() and _write()" fetches_stay
point "the kernel's checkpatch has nothing against the module" scripts/check-style
echo "1..$n"
exit $bad
