#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The example of a shared pool: whoever is killed, all tasks are done."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT, scale


def run(*args):
    return subprocess.run([os.path.join(ROOT, "build/bin/examples/survive"), *args],
                          capture_output=True, timeout=300)


t = Ktap()
for n, kills in ((1, 1), (1000, 0), (scale(20000), 20), (scale(20000), 3)):
    p = run(str(n), str(kills))
    t.ok(p.returncode == 0 and p.stdout == b"%d of %d tasks done\n" % (n, n),
         f"{n} tasks, {kills} kills", p)
for args in ((), ("0",), ("many",), ("1", "1", "1")):
    p = run(*args)
    t.ok(p.returncode == 2 and b"usage: survive" in p.stderr, f"survive {' '.join(args)}: usage", p)
t.done()
