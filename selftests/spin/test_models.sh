#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test_models.sh [NAME...]: each *.pml here, searched whole by spin.
#
# The head of a model says, a line each
#
#	shows: what it proves
#	case NAME: the same with -DCASE_NAME, another mix of processes
#	twin NAME: the same with -DTWIN_NAME, one step left out or moved
#
# Model and cases must have no error in any state. A twin must have one, found
# by an assertion or an invalid end state: it proves that the model looks where
# it should.

set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here"

echo "KTAP version 1"
for tool in spin gcc; do
	command -v "$tool" > /dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# search MODEL [DEFINE]: sets VERDICT to ok, error or what went wrong
search()
{
	local dir=$tmp/${1%.pml}${2:-} out=$tmp/out fast=-O1
	VERDICT="spin or gcc failed"
	mkdir -p "$dir"
	# A twin ends at its first error: compiling it costs more than searching.
	[[ ${2:-} != -DTWIN_* ]] || fast=-O0
	(cd "$dir" && spin ${2:+"$2"} -a "$here/$1" && gcc "$fast" -w -DSAFETY -DCOLLAPSE -DMEMLIM=1500 \
		-o pan pan.c) > "$out" 2>&1 || return 0
	(cd "$dir" && timeout 300 ./pan -m200000 -w20 -n) > "$out" 2>&1 || true
	if grep -qE '^error: max search depth|max search depth too small|memory limit|MEMLIM bound' "$out" ||
	   ! grep -q 'errors: ' "$out"; then
		VERDICT="the search is not whole"
	elif grep -q 'errors: 0$' "$out"; then
		VERDICT=ok
	elif grep -qE '^pan:1: (assertion violated|invalid end state)' "$out"; then
		VERDICT=error
	else
		VERDICT="an error of another kind"
	fi
	rm -rf "$dir"
}

n=0 failed=0
# expect VERDICT TITLE MODEL [DEFINE]
expect()
{
	search "${@:3}"
	n=$((n + 1))
	if [[ $VERDICT == "$1" ]]; then
		sed -nE 's/^ *([0-9.e+]+) states, stored.*/# \1 states/p; s/^pan:1: (.*) \(at.*/# \1/p' "$tmp/out"
		echo "ok $n - $2"
	else
		failed=$((failed + 1))
		sed 's/^/# /' "$tmp/out"
		echo "# verdict: $VERDICT, not $1"
		echo "not ok $n - $2"
	fi
}

# heads MODEL WORD: "NAME TEXT" of those lines of the head
heads() { sed -n "/^ \*\/$/q; s,^ \* $2 \([a-z0-9_]*\): ,\1 ,p" "$1"; }

if [[ $# -gt 0 ]]; then
	models=("${@/%/.pml}")
else
	models=(*.pml)
fi
total=0
for model in "${models[@]}"; do
	total=$((total + 1 + $(heads "$model" case | wc -l) + $(heads "$model" twin | wc -l)))
done
echo "1..$total"
for model in "${models[@]}"; do
	name=${model%.pml}
	expect ok "$name: $(sed -n 's/^ \* shows: //p' "$model")" "$model"
	while read -r what text; do
		expect ok "$name, $what: $text" "$model" "-DCASE_$what"
	done < <(heads "$model" case)
	while read -r what text; do
		expect error "$name must fail, $what: $text" "$model" "-DTWIN_$what"
	done < <(heads "$model" twin)
done
[[ $failed == 0 ]]
