#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
LESS=1 exec "$(dirname "$0")/vm_suite" 6.12 4
