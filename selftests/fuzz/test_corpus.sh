#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each fuzzer's corpus, with ASan and UBSan where that build is there.
cd "$(dirname "$0")/../.." || exit 1
n=0
bad=0
echo "KTAP version 1"
for corpus in selftests/fuzz/corpus/*; do
	name=${corpus##*/}
	prog=build/asan/selftests/fuzz/fuzz_$name
	[ -x "$prog" ] || prog=build/selftests/fuzz/fuzz_$name
	n=$((n + 1))
	if [ -x "$prog" ] && out=$("$prog" "$corpus" 2>&1); then
		echo "$out"
		echo "ok $n - $name"
	else
		sed 's/^/# /' <<<"${out:-no $prog; build it with make fuzz}"
		echo "not ok $n - $name"
		bad=1
	fi
done
echo "1..$n"
exit $bad
