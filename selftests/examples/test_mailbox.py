#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The examples of mailboxes: each answer is right and in order, no line comes unseen."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT, scale


def run(name, *args, data=None):
    return subprocess.run([os.path.join(ROOT, "build/bin/examples", name), *args],
                          input=data, capture_output=True, timeout=300)


t = Ktap()

for n in (1, 10, scale(5000)):
    want = "".join(f"{i}: user{i} has {i}0\n" for i in range(1, n + 1)).encode()
    p = run("service-mesh", str(n))
    t.ok(p.returncode == 0 and p.stdout == want and b"service-mesh:" not in p.stderr,
         f"{n} requests through three services", p)
for args in (("0",), ("many",), ("1", "2")):
    p = run("service-mesh", *args)
    t.ok(p.returncode == 2 and b"usage: service-mesh" in p.stderr,
         f"service-mesh {' '.join(args)}: usage", p)

lines = [b"line %d\n" % i for i in range(scale(3000))]
text = b"".join(lines)
for subscribers, capacity in ((1, 1), (3, 1000000), (64, 10)):
    p = run("publish", str(subscribers), str(capacity), data=text)
    seen = re.findall(rb"^\d+: (\d+) lines, (\d+) bytes, (\d+) lost$", p.stdout, re.M)
    t.ok(p.returncode == 0 and len(seen) == subscribers and
         all(int(got) + int(lost) == len(lines) for got, _, lost in seen),
         f"lines to {subscribers} subscribers with room for {capacity}", p)
    if capacity > len(lines):
        t.ok(all(int(size) == len(text) for _, size, _ in seen), "all of them, with room", p)
for args in (("0",), ("65",), ("1", "0")):
    p = run("publish", *args, data=b"")
    t.ok(p.returncode == 2 and b"usage: publish" in p.stderr, f"publish {' '.join(args)}: usage", p)

t.done()
