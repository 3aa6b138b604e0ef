#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each kernel, locked down as by secure boot: see selftests/kmod/lockdown.sh.
cd "$(dirname "$0")/../.." || exit 1
bad=0
for kernel in 6.1 6.12 7.2; do
	selftests/vm/build-module $kernel >&2 || bad=1
	PULSE_TEST_SCALE=10 selftests/vm/run --kernel $kernel --nodes 2 --no-module \
		--append lockdown=integrity --env KT_TIMEOUT=240 -- \
		selftests/kmod/lockdown.sh "$PWD/build/kmod/$kernel/pulse.ko" |
		sed -nE "s/^((not )?ok) [0-9]+ - /\1 - $kernel: /p; /^#/p"
	[ "${PIPESTATUS[0]}" -eq 0 ] || bad=1
done > >(awk '/ok - / { sub(/ok - /, "ok " ++n " - ") } { print } END { print "1.." n }')
wait $!
exit $bad
