#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# curl as the peer: the handshake it makes by hand, the accept value, refusals.
cd "$(dirname "$0")/../.." || exit 1
ECHO=${PULSE_WS_ECHO:-build/bin/ws-echo}
tmp=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
. selftests/lib/point.sh
if ! command -v curl >/dev/null; then
	echo "1..0 # SKIP no curl; fix: apt install curl"
	exit 77
fi
echo "KTAP version 1"
if [ ! -x "$ECHO" ]; then
	echo "Bail out! no $ECHO; build it with make tools"
	exit 1
fi
"$ECHO" --listen 127.0.0.1:0 --deflate >"$tmp/server" 2>&1 &
pid=$!
for _ in $(seq 300); do
	where=$(sed -n 's/^listening on //p' "$tmp/server")
	[ -n "$where" ] && break
	sleep 0.1
done

upgrade=(-H 'Upgrade: websocket' -H 'Connection: Upgrade' -H 'Sec-WebSocket-Version: 13'
	 -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')

# A frame that closes is what curl sends; what comes back is in $tmp/out.
ask()	# args...
{
	timeout 30 curl --http1.1 -sS -i --no-buffer --max-time 3 "$@" \
		"http://$where/chat" >"$tmp/out" 2>"$tmp/err"
	tr -d '\r' <"$tmp/out" >"$tmp/text"
}

status()
{
	head -n 1 "$tmp/text" | grep -q "^HTTP/1.1 $1 "
}

ask "${upgrade[@]}"
status 101
point "101 for curl's own request"
grep -qi '^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=$' "$tmp/text"
point "the accept value of the RFC's example"
grep -qi '^upgrade: websocket$' "$tmp/text" && grep -qi '^connection: upgrade$' "$tmp/text"
point "both fields of an upgrade"
! grep -qi '^sec-websocket-extensions' "$tmp/text"
point "no extension that was not offered"
ask "${upgrade[@]}" -H 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'
status 101 && grep -qi '^sec-websocket-extensions: permessage-deflate' "$tmp/text"
point "compression where it is offered"
ask "${upgrade[@]}" -H 'Sec-WebSocket-Version: 8'
status 400 || status 426
point "another version beside 13 is refused"
ask "${upgrade[@]}" --http1.0
status 400 || status 426
point "HTTP/1.0 is refused"
ask "${upgrade[@]}" -d body
status 405 || status 400
point "POST is refused"
ask
status 426 && grep -qi '^sec-websocket-version: 13$' "$tmp/text"
point "a plain GET is told what to upgrade to"
ask -I
status 426 && [ "$(sed '1,/^$/d' "$tmp/text" | wc -c)" -eq 0 ]
point "HEAD gets no body"
if curl --version | grep -qw ws; then
	timeout 30 curl -sS --max-time 3 "ws://$where/" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 28 ]		# open, and nothing comes
	point "curl's own ws://"
else
	echo "ok $((++n)) - curl's own ws:// # SKIP this curl is built without it"
fi
kill -TERM "$pid"
wait "$pid"
point "and the server ends with 0"
pid=
echo "1..$n"
exit $bad
