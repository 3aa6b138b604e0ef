#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In a VM: each command of Documentation/tracing.md, as it stands there, beside
# workers that park, beat and are preempted. It must say something of them.
cd "$(dirname "$0")/../.." || exit 1
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
mapfile -t commands < <(awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' \
	Documentation/tracing.md)
echo "KTAP version 1"
echo "1..$((${#commands[@]}))"

# In a group of its own, which ends as one.
set -m
again() { while :; do "$@"; done; }
(
	again env PULSE_BACKEND=kernel PULSE_TEST_SCALE=5 \
		build/selftests/ulib/backend/test_park_stress &
	again build/selftests/kmod/test_beat beats_and_missed_are_the_time_on_a_cpu_in_periods &
	again build/selftests/kmod/test_kstate &
	wait
) > /dev/null 2>&1 &
load=$!
set +m
n=0
bad=0
# One run of $command, which may fall between two beats: its output, and whether it
# told of what was to be seen.
try()
{
	local pid i
	case $command in
	bpftrace*)
		bash -c "exec $command" > "$out" 2>&1 &
		pid=$!
		# Attached, and then as long as it takes to see something.
		for ((i = 0; i < 120; i++)); do
			grep -q '^Attaching' "$out" && break
			sleep 1
		done
		sleep 8
		kill -INT $pid
		wait $pid
		want='^@[a-z_]+(\[[0-9]+, [0-9]+\])?:'
		;;
	perf*)	bash -c "${command/sleep 10/sleep 8}" > "$out" 2>&1
		want='^ +[1-9][0-9,.]* +pulse:sched_out'
		;;
	*)	bash -c "${command/sleep 10/sleep 8}" > "$out" 2>&1
		want='hitcount: +[1-9]'
		;;
	esac
	grep -qE "$want" "$out"
}

for command in "${commands[@]}"; do
	n=$((n + 1))
	out=$(mktemp)
	for times in 1 2 3; do
		! try || break
	done
	what=$(cut -c1-70 <<< "$command")
	echo "# after $SECONDS s, try $times"
	sed 's/^/# /' "$out" | tail -25
	if grep -qE "$want" "$out"; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		bad=1
	fi
	rm -f "$out"
done
kill -KILL -- -$load
wait $load 2> /dev/null
exit $bad
