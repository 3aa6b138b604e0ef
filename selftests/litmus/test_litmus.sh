#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test_litmus.sh [NAME...]: what the memory models say of each *.litmus here.
#
# A test is a plain herd7 file with two lines of its own in comments: "model:"
# (lkmm, or a .cat of herd7) and "shows:". Its bad outcome must be allowed
# Never. Behind a line may stand
#
#	// twin NAME: REPLACEMENT
#
# and the test with every line so marked replaced (by nothing, mostly: a barrier
# left out) is the twin NAME, whose bad outcome must be seen: Sometimes.

set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here"

echo "KTAP version 1"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! herd=$(./get-herd7 2> "$tmp/why"); then
	echo "1..0 # SKIP no herd7: $(tail -n 1 "$tmp/why")"
	exit 77
fi

# twin FILE NAME: the file with that twin's lines; no name, no twin
twin()
{
	awk -v name="$2" '
		!match($0, /^[ \t]*\/\/ twin [a-z0-9_]+:/) {
			if (NR > 1) print held
			held = $0
			next
		}
		{
			mark = substr($0, RSTART, RLENGTH)
			gsub(/.*twin |:$/, "", mark)
			if (mark == name) held = substr($0, RSTART + RLENGTH)
		}
		END { print held }' "$1"
}

twins_of() { sed -n 's,^[[:space:]]*// twin \([a-z0-9_]*\):.*,\1,p' "$1" | awk '!seen[$0]++'; }
said() { sed -n "s,^(\* $2: \(.*\) \*)\$,\1,p" "$1"; }

# run FILE MODEL: herd7's word for it, one of Never, Sometimes, Always; a data
# race counts as a bad outcome
run()
{
	local options word
	if [[ $2 == lkmm ]]; then
		options=(-I "$herd/lkmm" -conf "$herd/lkmm/linux-kernel.cfg")
	else
		options=(-model "$2.cat")
	fi
	timeout 60 "$herd/herd7" "${options[@]}" "$1" > "$tmp/out" 2>&1 || true
	word=$(awk '$1 == "Observation" { print $3 }' "$tmp/out")
	if [[ $word == Never ]] && grep -qE '^(Flag|Undef)' "$tmp/out"; then
		word=Race
	fi
	echo "${word:-nothing}"
}

n=0 failed=0
# expect WORD FILE MODEL TITLE
expect()
{
	local word
	word=$(run "$2" "$3")
	n=$((n + 1))
	if [[ $word == "$1" ]]; then
		echo "ok $n - $4"
	else
		failed=$((failed + 1))
		sed 's/^/# /' "$tmp/out"
		echo "# herd7 says $word, not $1"
		echo "not ok $n - $4"
	fi
}

if [[ $# -gt 0 ]]; then
	tests=("${@/%/.litmus}")
else
	tests=(*.litmus)
fi
total=0
for test in "${tests[@]}"; do
	total=$((total + 1 + $(twins_of "$test" | wc -l)))
done
echo "1..$total"
for test in "${tests[@]}"; do
	name=${test%.litmus} model=$(said "$test" model)
	twin "$test" "" > "$tmp/$name.litmus"
	expect Never "$tmp/$name.litmus" "$model" "$name: $(said "$test" shows)"
	for mark in $(twins_of "$test"); do
		twin "$test" "$mark" > "$tmp/$name-$mark.litmus"
		expect Sometimes "$tmp/$name-$mark.litmus" "$model" "$name must fail: $mark"
	done
done
[[ $failed == 0 ]]
