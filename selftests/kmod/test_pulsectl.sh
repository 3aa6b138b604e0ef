#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pulsectl with the module loaded and a program that has a context.
cd "$(dirname "$0")/../.." || exit 1
. selftests/tools/ctl.sh
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
begin_tests
if [ ! -e /dev/pulse ]; then
	echo "1..0 # SKIP no /dev/pulse: the module is not loaded"
	exit 0
fi
start()	# a server with three workers; sets pid
{
	build/bin/ws-echo --listen 127.0.0.1:0 --backend kernel --threads 3 \
		>"$tmp/server" 2>&1 &
	pid=$!
	for _ in $(seq 600); do
		grep -q '^listening' "$tmp/server" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
eventually()	# command...
{
	for _ in $(seq 300); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

ctl 0 status && says '^module: *loaded, ABI 1' && says 'features:.* kstate .*watch'
point "status tells module and features"
ctl 0 -j status && json "j['loaded'] and j['abi'] == 1 and 'beat' in j['features']"
point "and as JSON"
ip link set lo up 2>/dev/null
start
point "a server on the kernel backend"
three() { ctl 0 -j ctx && json "[c for c in j if c['pid'] == $pid][0]['workers'] == 3"; }
eventually three
point "ctx tells its context with three workers"
id=$(/usr/bin/python3 -c 'import json, sys; print([c for c in json.load(open(sys.argv[1])) if c["pid"] == int(sys.argv[2])][0]["ctx"])' "$tmp/out" "$pid")
ctl 0 ctx && says '^ *CTX +UID +PID' && says "^ *$id +0 +$pid +3 "
point "ctx as text"
ctl 0 -j ctx "$id" && json "len(j) == 1 and j[0]['ctx'] == $id and j[0]['uid'] == 0"
point "ctx of one"
ctl 1 ctx 999999 && tells 'context 999999: no .*context'
point "a context that is not there is named"
ctl 0 -j workers "$id" && json "len(j) == 3 and all(w['pid'] == $pid and w['ctx'] == $id for w in j)" &&
	json "sorted(w['index'] for w in j) == [0, 1, 2]" &&
	json "all(w['state'] in ('running', 'preempted', 'blocked', 'parked') for w in j)" &&
	json "len({w['tid'] for w in j}) == 3 and 'run_ns' in j[0] and 'comm' in j[0]"
point "workers tells each of them"
ctl 0 workers && says '^ *CTX INDEX +TID'
point "workers as text"
ctl 0 -j knob list && json "{k['name'] for k in j} >= {'beat_floor_us', 'spin_us', 'wake_spill', 'max_workers_per_user'}" &&
	json "all(k['min'] <= k['value'] <= k['max'] for k in j)"
point "knob list"
ctl 0 knob get watch_interval_ms && says '^100$'
point "knob get"
ctl 0 knob set watch_interval_ms 50 && [ "$(cat /sys/class/misc/pulse/watch_interval_ms)" = 50 ] &&
	ctl 0 knob set watch_interval_ms 100
point "knob set"
ctl 1 knob set watch_interval_ms 60001 && tells 'watch_interval_ms = 60001: .*1 to 60000' &&
	ctl 0 knob get watch_interval_ms && says '^100$'
point "a value out of range: named, with the range, and nothing changed"
ctl 1 knob get warp && tells "warp" && tells 'knob list'
point "a knob that is not there is named"
ctl 0 knob --ctx "$id" set spin_us 7 && ctl 0 knob --ctx "$id" get spin_us && says '^7$' &&
	ctl 0 knob get spin_us && says '^0$' && ctl 0 -j knob --ctx "$id" list && json "len(j) == 2"
point "knobs of a context"

nobody() { setpriv --reuid 4001 --regid 4001 --clear-groups timeout 120 "$tmp/pulsectl" "$@" >"$tmp/out" 2>"$tmp/err"; }
cp "$CTL" "$tmp/pulsectl"
chmod 755 "$tmp"
nobody -j ctx && json "j == []"
point "others see no context of root's"
nobody knob set spin_us 1
[ $? -eq 4 ] && tells 'fix: run it as root'
point "others set no knob: exit status 4 and a fix"
nobody -j monitor --count 4 &
own=$!
listens() { tells 'your own contexts'; }
eventually listens
# one of root's, and one of theirs: the descriptor is root's, SETUP is not
"$CTL" knob --ctx "$id" set spin_us 7 >/dev/null 2>&1
setpriv --reuid 4001 --regid 4001 --clear-groups /usr/bin/python3 -c '
import fcntl, struct
fcntl.ioctl(3, 0xc018d701, struct.pack("6I", 24, 0, 2, 2, 0, 0))
a = bytearray(struct.pack("2IiIQ", 24, 0, -1, 0, 0))
fcntl.ioctl(3, 0xc018d710, a)
fcntl.ioctl(3, 0xc010d711, struct.pack("4I", 16, 0, struct.unpack("2IiIQ", a)[3], 0))
' 3<>/dev/pulse && wait "$own" &&
	[ "$(grep -o '"event":"[a-z_]*"' "$tmp/out" | cut -d'"' -f4 | tr '\n' ' ')" = \
	  'ctx_new worker_new worker_del ctx_del ' ] && ! grep -q lost "$tmp/out"
point "others monitor their own contexts"
nobody knob list && says '^beat_floor_us'
point "others read knobs"
nobody -j doctor
json "[c for c in j if c['check'] == 'device'][0]['verdict'] == 'FAIL'"
point "doctor tells others that the device is not theirs"

"$CTL" -j monitor >"$tmp/events" 2>"$tmp/monitor" &
monitor=$!
# listening when a knob that is set is told
heard() { "$CTL" knob set wake_spill 0 2>/dev/null; grep -q knob_changed "$tmp/events"; }
eventually heard
point "monitor tells knobs"
kill "$pid"
wait "$pid"
was=$pid
pid=
gone() { grep -q "\"ctx_del\".*\"ctx\":$id,.*\"pid\":$was" "$tmp/events"; }
eventually gone
point "monitor tells a context that goes"
[ "$(grep -c "\"event\":\"worker_d.*\"ctx\":$id," "$tmp/events")" -eq 3 ]
point "and its three workers"
kill "$monitor"
wait "$monitor" 2>/dev/null
/usr/bin/python3 -c '
import json, sys
seq = [json.loads(line)["seq"] for line in open(sys.argv[1])]
sys.exit(seq != list(range(seq[0], seq[0] + len(seq))))' "$tmp/events" 2>"$tmp/err"
point "each line is JSON, and none is missing"
timeout 60 "$CTL" monitor --count 2 >"$tmp/out" 2>"$tmp/err" &
monitor=$!
ended() { "$CTL" knob set wake_spill 0; ! kill -0 "$monitor" 2>/dev/null; }
eventually ended && wait "$monitor" && [ "$(wc -l <"$tmp/out")" -eq 2 ] &&
	says 'knob_changed knob=wake_spill value=0'
point "monitor --count ends by itself"
ctl 0 -j doctor && json "not [c for c in j if c['verdict'] == 'FAIL']"
point "doctor has nothing to complain of"
end_tests
