#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# TLS, alone and below WebSocket, where the kernel encrypts what is sent; on one
# kernel what is asked of every carrier, too.
cd "$(dirname "$0")/../.." || exit 1
bad=0
for kernel in 6.1 6.12 7.2; do
	carriers=
	[ $kernel != 6.12 ] || carriers=build/selftests/ulib/io/test_carriers
	PULSE_TEST_SCALE=10 selftests/vm/run --kernel $kernel --nodes 1 --no-module \
		--timeout 1300 --env KT_TIMEOUT=300 -- \
		selftests/ulib/io/ktls build/selftests/ulib/io/test_tls{,_bad} \
		$carriers build/selftests/ulib/ws/test_wss |
		sed -nE "s/^((not )?ok) [0-9]+ - /\1 - $kernel: /p; /^#/p"
	[ "${PIPESTATUS[0]}" -eq 0 ] || bad=1
done > >(awk '/ok - / { sub(/ok - /, "ok " ++n " - ") } { print } END { print "1.." n }')
wait $!
exit $bad
