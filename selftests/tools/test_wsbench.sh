#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pulse-wsbench: usage, figures that add up against ws-echo, and each fault of a
# server that it must find, against one that has it.
cd "$(dirname "$0")/../.." || exit 1
BENCH=${PULSE_WSBENCH:-build/bin/pulse-wsbench}
ECHO=${PULSE_WS_ECHO:-build/bin/ws-echo}
tmp=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
. selftests/lib/point.sh

bench()	# status args...
{
	local want=$1 rc

	shift
	timeout 120 "$BENCH" "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
	[ $rc -eq "$want" ] || echo "exit status $rc, not $want: $*" >>"$tmp/err"
	[ $rc -eq "$want" ]
}
tells() { grep -qF -- "$1" "$tmp/err"; }
json()
{
	/usr/bin/python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$tmp/out" "$1" 2>>"$tmp/err"
}
stop() { [ -n "$pid" ] && kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=; }

start()	# pattern of the line that tells the address, command...: sets where
{
	local pattern=$1

	shift
	stop
	where=
	: >"$tmp/server"
	"$@" >"$tmp/server" 2>&1 &
	pid=$!
	for _ in $(seq 300); do
		where=$(sed -nE "s/^$pattern\$/\1/p" "$tmp/server" | head -1)
		[ -n "$where" ] && return 0
		sleep 0.1
	done
	return 1
}
liar() { start '([0-9]+)' /usr/bin/python3 selftests/tools/ws_liar.py "$1" && where=127.0.0.1:$where; }

echo "KTAP version 1"
for prog in "$BENCH" "$ECHO"; do
	if [ ! -x "$prog" ]; then
		echo "Bail out! no $prog; build it with make tools"
		exit 1
	fi
done

bench 0 --help && grep -q '^usage: pulse-wsbench' "$tmp/out" && [ ! -s "$tmp/err" ]
point "--help tells the usage and ends with 0"
bench 0 --version && grep -qE '^pulse-wsbench .* [0-9]+\.[0-9]+\.[0-9]+$' "$tmp/out"
point "--version tells the version"
bench 2 && tells 'usage: pulse-wsbench'
point "no URL is wrong usage"
bench 2 http://127.0.0.1:1/ && tells 'http://127.0.0.1:1/' && bench 2 127.0.0.1:80 &&
	bench 2 ws:// && bench 2 ws://127.0.0.1:70000/ && bench 2 ws://127.0.0.1:x/ &&
	bench 2 'ws://127.0.0.1:1/a b' && bench 2 'ws://[::1/'
point "a URL of another kind is named"
bench 2 ws://127.0.0.1:1/ ws://127.0.0.1:2/ && tells '127.0.0.1:2'
point "a second URL is named"
for o in --connections=0 --connections=1000001 --size=-1 --size=65M --size=1x --depth=0 \
	--rate=-1 --rate=many --duration=0 --duration=inf --warmup=x --threads=257 --messages=0 \
	--timeout=0; do
	bench 2 "$o" ws://127.0.0.1:1/ && tells "${o%%=*}" && tells "'${o#*=}'"
	point "$o is refused with the option and the value"
done
bench 2 --size 64M --depth 100 ws://127.0.0.1:1/ && tells '1 GiB'
point "more than memory should hold"
bench 2 --deflate tcp://127.0.0.1:1 && tells -- --deflate
point "no deflate without WebSocket"
bench 1 -n 1 ws://127.0.0.1:1/ && tells 'refused' && bench 1 -j -n 1 ws://127.0.0.1:1/ &&
	json "j['refused'] == 1 and 'refused' in j['why'] and j['messages'] == 0"
point "nobody listens: exit status 1 and why"

start 'listening on (.*)' "$ECHO" --listen 127.0.0.1:0 --backend user --deflate
point "a server to talk to"
all="j['verified'] == 3000 and j['messages'] == 3000 and not j['why'] and
	j['mismatched'] + j['broken'] + j['lost'] + j['refused'] == 0 and
	0 < j['latency_us']['min'] <= j['latency_us']['p50'] <= j['latency_us']['p99'] <= j['latency_us']['max']"
for how in "" "-c 7 -d 3" "-c 10 -T 3 -d 16" "--text" "--text --deflate -s 512" \
	"--deflate -s 0" "-s 0" "-s 125" "-s 126 -d 5" "-s 65535" "-s 65536 -d 3" "-r 20000 -c 3" "--spin -c 3"; do
	# shellcheck disable=SC2086
	bench 0 -j -n 3000 $how "ws://$where/" && json "$(echo $all)"
	point "3000 messages and each is verified: ${how:-the defaults}"
done
bench 0 -j -n 40 -s 1M -d 4 "ws://$where/" && json "j['verified'] == 40 and j['payload_bytes'] == 40 << 20"
point "messages of 1 MiB"
bench 0 -j -n 100 --no-verify "ws://$where/" && json "j['messages'] == 100 and j['verified'] == 0"
point "--no-verify counts without comparing"
for _ in 1 2 3 4 5; do	# a machine may stand still for as long as that
	bench 0 -j -t 0.3 -w 0.1 -c 3 "ws://$where/" &&
		json "abs(j['seconds'] - 0.3) < 0.001 and j['verified'] >= j['messages']" || break
	json "j['messages'] > 0" && break
done
json "j['messages'] > 0 and abs(j['seconds'] - 0.3) < 0.001"
point "the window is as long as was asked for, and warm-up is outside of it"
bench 0 -j -t 0.2 --idle -c 50 "ws://$where/" && json "j['messages'] == 0 and not j['why']"
point "--idle holds connections and sends nothing"
bench 0 -n 100 "ws://$where/" && grep -q '^answers    100 verified, 0 wrong' "$tmp/out"
point "figures for people"
stop
start 'listening on (.*)' "$ECHO" --listen 127.0.0.1:0 --backend user
bench 1 --deflate -n 5 "ws://$where/" && tells 'permessage-deflate'
point "a server that does not compress is told"

while read -r way field words; do
	liar "$way" && bench 1 -j -n 20 --timeout 2 "ws://$where/" && json "j['$field'] > 0" && tells "$words"
	point "a server's fault is found: $way"
done <<-EOF_WAYS
	flip mismatched is not what was sent
	short mismatched is not what was sent
	text mismatched is not what was sent
	masked broken masked
	rsv broken reserved
	close lost closed
	refuse refused 503 Not today
	bad-accept refused Accept
	EOF_WAYS
liar drop && bench 1 -j -n 20 -d 20 --timeout 1 "ws://$where/" && json "j['lost'] == 1 and j['mismatched'] > 0"
point "an answer that is missing shows in those after it, and as lost"
liar twice && bench 1 -j -n 20 -d 20 --timeout 1 "ws://$where/" && json "j['mismatched'] > 0 or j['broken'] > 0"
point "an answer that comes twice"
liar fragments && bench 0 -j -n 20 -d 3 "ws://$where/" && json "j['verified'] == 20" &&
	grep -q '^pongs [1-9]' "$tmp/server"
point "fragments and pings between them are legal, and pings are answered"
liar bytewise && bench 0 -j -n 20 -d 3 -s 200 "ws://$where/" && json "j['verified'] == 20"
point "answers that come byte by byte"
stop
echo "1..$n"
exit $bad
