#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# npm's ws as a client of build/bin/ws-echo. (As a server: selftests/ulib/ws,
# test_npm_server.)
cd "$(dirname "$0")/../.." || exit 1
ECHO=${PULSE_WS_ECHO:-build/bin/ws-echo}
tmp=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
npm=$(selftests/interop/npm_ws 2>"$tmp/why")
rc=$?
if [ $rc -ne 0 ]; then
	echo "1..0 # SKIP $(cat "$tmp/why")"
	exit $rc
fi
if [ ! -x "$ECHO" ]; then
	echo "Bail out! no $ECHO; build it with make tools"
	exit 1
fi
"$ECHO" --listen 127.0.0.1:0 --threads 2 --deflate >"$tmp/out" 2>&1 &
pid=$!
for _ in $(seq 300); do
	where=$(sed -n 's/^listening on //p' "$tmp/out")
	[ -n "$where" ] && break
	sleep 0.1
done
echo "KTAP version 1"
NODE_PATH=$npm/node_modules timeout 300 node selftests/interop/npm_ws_client.js "ws://$where/"
