#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ws-echo on the command line: help, version, wrong arguments, a port in use,
# and an end in order.
cd "$(dirname "$0")/../.." || exit 1
ECHO=${PULSE_WS_ECHO:-build/bin/ws-echo}
tmp=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
. selftests/lib/point.sh

# Its status, and on stderr the words.
fails()	# status words args...
{
	local want=$1 words=$2

	shift 2
	timeout 30 "$ECHO" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$want" ] && grep -q -- "$words" "$tmp/err"
}

start()	# args...: sets pid and where
{
	where=
	"$ECHO" "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in $(seq 300); do
		where=$(sed -n 's/^listening on //p' "$tmp/out")
		[ -n "$where" ] && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

ends()	# signal: it ends with 0
{
	kill "-$1" "$pid"
	wait "$pid"
	local rc=$?
	pid=
	[ $rc -eq 0 ]
}

echo "KTAP version 1"
if [ ! -x "$ECHO" ]; then
	echo "Bail out! no $ECHO; build it with make tools"
	exit 1
fi
"$ECHO" --help >"$tmp/out" 2>"$tmp/err" && grep -q '^usage: ws-echo' "$tmp/out" &&
	[ ! -s "$tmp/err" ]
point "--help tells the usage and ends with 0"
"$ECHO" --version >"$tmp/out" 2>"$tmp/err" &&
	grep -qE '^ws-echo .* [0-9]+\.[0-9]+\.[0-9]+$' "$tmp/out"
point "--version tells the version"
fails 2 "--threads" --threads 0
point "no threads"
fails 2 "many" --threads many
point "threads that are no number name the value"
fails 2 "257" --threads 257
point "too many threads"
fails 2 "--max-message" --max-message -1
point "a negative limit"
fails 2 "--max-message" --max-message 12k
point "a limit with a unit"
fails 2 "--backend" --backend cloud
point "no such backend"
fails 2 "cloud:9" --listen cloud:9
point "a name as address"
fails 2 "127.0.0.1" --listen 127.0.0.1
point "an address without a port"
fails 2 "70000" --listen 127.0.0.1:70000
point "a port over 65535"
fails 2 "ws-echo --help" --no-such-option
point "an unknown option"
fails 2 "ws-echo --help" --listen
point "an option without its value"
fails 2 "stray" stray
point "a stray argument"

start --listen 127.0.0.1:0 --backend user
point "port 0 becomes a real one: $where"
grep -q '^backend: user' "$tmp/out"
point "the backend is told"
curl -s -o "$tmp/page" -w '%{http_code}' "http://$where/" 2>/dev/null | grep -q 426 ||
	! command -v curl >/dev/null
point "a plain request gets 426"
cp "$tmp/out" "$tmp/first"
fails 1 "in use" --listen "$where" --backend user
point "a port in use: status 1 and a text"
fails 1 "in use" --listen "$where" --backend user --threads 2
point "also with several loops"
ends INT
point "SIGINT ends it with 0"
start --listen 127.0.0.1:0 --threads 3 --max-message 100
point "several loops"
ends TERM
point "SIGTERM ends it with 0"
PULSE_BACKEND=cloud PULSE_POLLER=select start --listen 127.0.0.1:0 &&
	grep -q 'PULSE_POLLER=select is unknown' "$tmp/err" &&
	grep -q 'PULSE_BACKEND=cloud is none of' "$tmp/err" && ends TERM
point "words of the environment that it does not know are told"
echo "1..$n"
exit $bad
