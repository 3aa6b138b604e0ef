#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module fuzzed by coverage, for 5 minutes or PULSE_FUZZ_SECONDS, from the seed
# PULSE_FUZZ_SEED or another one each time. What was found worth keeping stays in
# build/fuzz-module/corpus, and is where the next run begins; what ran when the kernel
# complained is in build/fuzz-module/last.
cd "$(dirname "$0")/../.." || exit 1
seconds=${PULSE_FUZZ_SECONDS:-300}
out=build/fuzz-module
mkdir -p "$out"
echo 1..1
# few watches for races: many programs
if selftests/vm/run --kernel kcsan --nodes 2 --timeout $((seconds + 600)) --out "$out" \
	--append 'kcsan.skip_watch=100000 kcsan.udelay_task=80' -- \
	build/selftests/kmod/fuzz_module --seconds "$seconds" \
	${PULSE_FUZZ_SEED:+--seed "$PULSE_FUZZ_SEED"} --corpus /out/corpus --last /out/last; then
	echo "ok 1 - the module stands $seconds s of programs made by chance"
else
	echo "not ok 1 - the module stands $seconds s of programs made by chance"
	exit 1
fi
