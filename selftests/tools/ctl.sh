# SPDX-License-Identifier: GPL-2.0-only
#
# What tests of pulsectl share: source it in the root of the tree.
CTL=${PULSE_CTL:-build/bin/pulsectl}
tmp=$(mktemp -d)
. selftests/lib/point.sh

# Its exit status, its output in $tmp/out and $tmp/err.
ctl()	# status args...
{
	local want=$1 rc

	shift
	timeout 60 "$CTL" "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
	[ $rc -eq "$want" ] || echo "exit status $rc, not $want: pulsectl $*" >>"$tmp/err"
	[ $rc -eq "$want" ]
}

says() { grep -qE -- "$1" "$tmp/out"; }		# on stdout
tells() { grep -qE -- "$1" "$tmp/err"; }	# on stderr

# An expression about the JSON on stdout, which is called j.
json()
{
	/usr/bin/python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$tmp/out" "$1" 2>>"$tmp/err"
}

begin_tests()
{
	echo "KTAP version 1"
	if [ ! -x "$CTL" ]; then
		echo "Bail out! no $CTL; build it with make tools (needs libnl-genl-3-dev)"
		exit 1
	fi
}

end_tests()
{
	echo "1..$n"
	exit $bad
}
