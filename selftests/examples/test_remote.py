#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The example of an actor in another process: whoever is killed, the sum is right."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT, scale


def run(*args):
    return subprocess.run([os.path.join(ROOT, "build/bin/examples/remote"), *args],
                          capture_output=True, timeout=300)


t = Ktap()
for n, kills in ((1, 0), (1, 1), (scale(3000), 0), (scale(3000), 10)):
    p = run(str(n), str(kills))
    t.ok(p.returncode == 0 and p.stdout == b"%d\n" % (n * (n + 1) // 2),
         f"1 to {n}, {kills} kills", p)
for args in ((), ("0",), ("many",), ("1", "1", "1")):
    p = run(*args)
    t.ok(p.returncode == 2 and b"usage: remote" in p.stderr, f"remote {' '.join(args)}: usage", p)
t.done()
