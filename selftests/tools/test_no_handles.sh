#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# U01 of each exported function: see no_handles.py.
cd "$(dirname "$0")/../.." || exit 1
exec /usr/bin/python3 selftests/tools/no_handles.py
