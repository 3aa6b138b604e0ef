#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make install into an empty folder, whatever was built for another one before;
# and the program of README.md built against that and run, shared and static.
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
. selftests/lib/point.sh
trap 'rm -rf "$tmp"' EXIT
to=$tmp/usr
export PKG_CONFIG_PATH=$to/lib/pkgconfig

installs()
{
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s install PREFIX="$to" &&
	[ "$(pkg-config --variable=prefix libpulse-u)" = "$to" ] &&
	[ "$(pkg-config --variable=libdir libpulse-u)" = "$to/lib" ]
}

readme_program()
{
	sed -n '/^```c$/,/^```$/{/^```/d;p}' README.md > "$tmp/hello.c" &&
	grep -q pulse_pool_create "$tmp/hello.c"
}

greets()	# program
{
	PULSE_BACKEND=user LD_LIBRARY_PATH=$to/lib timeout 60 "$1" > "$tmp/said" &&
	grep -qE '^hello, world, from worker [0-3]$' "$tmp/said" &&
	grep -qE '^hello, again, from worker [0-3]$' "$tmp/said"
}

shared()
{
	# shellcheck disable=SC2046
	cc "$tmp/hello.c" $(pkg-config --cflags --libs libpulse-u) -o "$tmp/hello" &&
	greets "$tmp/hello"
}

static()
{
	# shellcheck disable=SC2046
	cc "$tmp/hello.c" $(pkg-config --cflags libpulse-u) "$to/lib/libpulse-u.a" \
		$(pkg-config --libs hwloc liburing zlib) -pthread -lm -ldl \
		-o "$tmp/hello-static" &&
	greets "$tmp/hello-static"
}

tools_start()
{
	local t

	for t in ws-echo pulse-wsbench; do
		LD_LIBRARY_PATH=$to/lib "$to/bin/$t" --help > "$tmp/said" || return 1
		[ -s "$tmp/said" ] || return 1
	done
}

# Each command has its manual page, each page something to say.
pages()
{
	local bin

	for bin in "$to"/bin/*; do
		[ -n "$(find "$to/share/man" -name "$(basename "$bin").[18]")" ] || {
			echo "no page of $(basename "$bin")"
			return 1
		}
	done
	[ -s "$to/share/man/man7/pulse-u.7" ] &&
	[ "$(find "$to/share/man/man3" -name 'pulse_*.3' -size +1k | wc -l)" -gt 30 ]
}

installs > "$tmp/out" 2> "$tmp/err"
point "files go where PREFIX says, and pkg-config says so too"
pages > "$tmp/err" 2>&1
point "each command has a manual page, and the library an overview"
readme_program
point "README.md has a program"
shared 2> "$tmp/err"
point "it builds with what pkg-config says, and runs"
static 2> "$tmp/err"
point "likewise with the static library"
tools_start 2> "$tmp/err"
point "the tools start from there"
echo "1..$n"
exit $bad
