#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of WebAssembly modules, run by a runtime and not compiled: WasmEdge,
# which Debian 13 has. All is built here, and run in the chroot of that release.
cd "$(dirname "$0")/../.." || exit 1
. scripts/kernels/common.sh
here=$PWD/build/trixie test=build/selftests/abuse/test_wasm

skip() { echo "1..0 # SKIP $*"; exit 77; }

cc=tools/wasm/pulse-wasm-cc
[ -e "$PULSE_CACHE/trixie/usr/include/wasmedge/wasmedge.h" ] || [ "$EUID" -eq 0 ] ||
	skip "no WasmEdge; fix: scripts/setup wasm, as root"
scripts/setup wasm >&2 || exit 1
mkdir -p "$here/lib" "$here/modules" || exit 1
for wat in selftests/abuse/wasm/*.wat; do
	# what is refused when it is loaded is refused by the compiler, too
	wat2wasm "$wat" -o "$here/modules/$(basename "$wat" .wat).wasm" ||
		skip "no wat2wasm; fix: apt install wabt"
done
$cc --wasi examples/wasm/words.c -o "$here/modules/words.wasm"
rc=$?
[ $rc -ne 77 ] || skip "no wasi-libc, clang or lld; fix: scripts/setup packages tests"
[ $rc -eq 0 ] || exit 1
make -s WASMEDGE="$PULSE_CACHE/trixie" "$here/wasm-runtime.so" >&2 || exit 1
# what the test is linked with and that release's chroot lacks
ldd "$test" | awk '$3 ~ /^\// { print $3 }' | while read -r lib; do
	[ -e "$PULSE_CACHE/trixie$lib" ] || cp -L "$lib" "$here/lib/"
done
exec scripts/kernels/in-trixie "$PWD" -- /usr/bin/env LD_LIBRARY_PATH="$here/lib" \
	PULSE_PLUGIN_DIR="$here" PULSE_TEST_WASM="$here/modules" "$PWD/$test"
