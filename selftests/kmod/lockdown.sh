#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# L13: a kernel that takes signed modules only, as one does that was booted by
# secure boot. The load is refused and leaves nothing; what uses the library works
# all the same, and is told why and what to do. Run by suites/vm_lockdown.sh in a
# machine that was started with lockdown=integrity and without the module.
#
# usage: lockdown.sh MODULE.ko
cd "$(dirname "$0")/../.." || exit 1
module=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
: > "$tmp/out" > "$tmp/err"
# shellcheck source=selftests/lib/point.sh
. selftests/lib/point.sh
locked=/sys/kernel/security/lockdown

echo "KTAP version 1"
[ -e $locked ] || mount -t securityfs securityfs /sys/kernel/security
grep -q '\[integrity\]' $locked
point "the kernel is locked down"

! insmod "$module" > "$tmp/out" 2> "$tmp/err" &&
	grep -qiE 'not permitted|rejected' "$tmp/err"
point "the load is refused and says so"
[ ! -e /dev/pulse ] && [ ! -e /sys/class/misc/pulse ] && [ ! -e /sys/module/pulse ] &&
	[ ! -e /sys/kernel/tracing/events/pulse ] && ! grep -q ' pulse$' /proc/misc
point "nothing of it is left"

PULSE_LOG=info build/selftests/ulib/backend/test_choice \
	auto_takes_the_kernel_backend_where_it_is > "$tmp/out" 2> "$tmp/err"
point "the library falls back"
PULSE_LOG=info build/selftests/ulib/backend/test_park \
	> "$tmp/out" 2> "$tmp/err" &&
	grep -q 'backend user' "$tmp/err" && grep -q 'locked down' "$tmp/err"
point "and names the lockdown as the reason"
build/selftests/ulib/pool/test_pool > "$tmp/out" 2> "$tmp/err"
point "a pool works without the module"
build/bin/pulsectl doctor > "$tmp/out" 2> "$tmp/err"
grep -qiE 'lock(ed )?down' "$tmp/out" && grep -qi 'sign' "$tmp/out"
point "the doctor names the lockdown and the fix"
echo "1..$n"
exit "$bad"
