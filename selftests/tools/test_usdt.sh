#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The library's probe points: noted in its file, found by tracers.
cd "$(dirname "$0")/../.." || exit 1
lib=build/lib/libpulse-u.so.0
points="park unpark wake steal fork_share fork_take steer stall task_end
	pool_grow pool_shrink ws_accept ws_frame ws_message ws_close
	sup_event bus_publish bus_drop"

echo "KTAP version 1"
if ! echo '#include <sys/sdt.h>' | gcc -E - > /dev/null 2>&1; then
	echo "1..0 # SKIP no <sys/sdt.h>; fix: apt install systemtap-sdt-dev"
	exit 77
fi
n=0 bad=0
result()	# ok|not ok, name
{
	n=$((n + 1))
	echo "$1 $n - $2"
	[[ $1 == ok* ]] || bad=1
}

notes=$(readelf -n "$lib" | awk '/Provider: pulse_u/ { getline; print $2 }' | sort -u)
for p in $points; do
	if grep -qx "$p" <<< "$notes"; then
		result ok "a note names pulse_u:$p"
	else
		result "not ok" "a note names pulse_u:$p"
	fi
done

# A point is a nop: where the note says, in the file's text.
at=$(readelf -n "$lib" | awk '/Name: park$/ { getline; sub(",", "", $2); print $2; exit }')
if objdump -d --start-address="$at" --stop-address=$((at + 1)) "$lib" | grep -qw nop; then
	result ok "a point that nobody watches is one nop"
else
	result "not ok" "a point that nobody watches is one nop"
fi

if command -v bpftrace > /dev/null && [[ $EUID == 0 ]]; then
	listed=$(timeout 60 bpftrace -l "usdt:$PWD/$lib:*" 2> /dev/null)
	missing=
	for p in $points; do
		grep -q ":pulse_u:$p\$" <<< "$listed" || missing+=" $p"
	done
	if [[ -z $listed ]]; then
		n=$((n + 1))
		echo "ok $n - bpftrace lists them # SKIP bpftrace lists nothing here"
	elif [[ -z $missing ]]; then
		result ok "bpftrace lists them"
	else
		echo "# missing:$missing"
		result "not ok" "bpftrace lists them"
	fi
else
	n=$((n + 1))
	echo "ok $n - bpftrace lists them # SKIP no bpftrace, or not root"
fi
echo "1..$n"
exit $bad
