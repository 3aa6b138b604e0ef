# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What scripts/setup, selftests/vm/build-module and selftests/vm/run must agree
# on: where the kernel cache lies and what a kernel in it looks like. Sourced.
#
#   $PULSE_CACHE/
#     <kernel>/release       its uname -r; written last, so it marks a whole kernel
#     <kernel>/root/         the unpacked packages (headers, modules)
#     <kernel>/headers       link to the folder for `make -C`
#     <kernel>/vmlinux       ELF kernel; QEMU starts it through PVH (built here: a
#                            bzImage, its PVH entry may fault, see build)
#     <kernel>/initrd        busybox and the modules needed to mount the root
#     trixie/                chroot with gcc-14, which 7.x must be built with
#                            (and WasmEdge, see "setup wasm")
#     debs/ apt/             short-lived: downloads and private package lists

PULSE_CACHE=${PULSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pulse-u}

# The name we call it, the suite it comes from, a pattern of its versions and a
# wider pattern for the day that series has left the suite ("-": none).
# shellcheck disable=SC2034 # read by scripts/setup
KERNELS='
6.1   bookworm            6\.1\..*     -
6.12  bookworm-backports  6\.12\..*    -
7.2   trixie-backports    7\.2\..*     7\..*
rt    bookworm-backports  6\.12\..*-rt -
'
STOCK_KERNELS='6.1 6.12 7.2'
# Built here, from Debian's source package of the series named.
BUILT_KERNELS='debug kcsan debug-6.12'
ALL_KERNELS="$STOCK_KERNELS rt $BUILT_KERNELS"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }
usage_error() { say "$*"; say "try '$0 --help'"; exit 2; }

known_kernel() { [[ " $ALL_KERNELS " == *" $1 "* ]]; }
built_kernel() { [[ " $BUILT_KERNELS " == *" $1 "* ]]; }
kernel_ready() { [[ -s $PULSE_CACHE/$1/release ]]; }
kernel_release() { cat "$PULSE_CACHE/$1/release"; }

# series_of_built KERNEL: which source it is built from
series_of_built()
{
	case $1 in
	*-*)	echo "${1#*-}" ;;
	*)	echo 6.1 ;;
	esac
}

# kernel_image KERNEL: what QEMU is to start
kernel_image()
{
	local image=$PULSE_CACHE/$1/bzImage
	[[ -f $image ]] || image=$PULSE_CACHE/$1/vmlinux
	echo "$image"
}

# Kernels that the host's gcc-12 cannot build are built in the trixie chroot.
kernel_in_trixie() { [[ $1 == 7.* ]]; }
