#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The examples of fork and join: right, whoever ran what, and clear about wrong input."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT, scale


def run(name, *args, data=None):
    return subprocess.run([os.path.join(ROOT, "build/bin/examples", name), *args],
                          input=data, capture_output=True, timeout=300)


def fnv(h, data):
    for b in data:
        h = ((h ^ b) * 0x100000001b3) & (2 ** 64 - 1)
    return h


def hash_of(top):
    total = 0
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            h = fnv(0xcbf29ce484222325, b"./" + os.fsencode(os.path.relpath(path, top)) + b"\0")
            with open(path, "rb") as f:
                total += fnv(h, f.read())
    return total % 2 ** 64


t = Ktap()

for n in (1, 2, 3, 1000, scale(3000000)):
    want = n * (n + 1) * (2 * n + 1) // 6 % 2 ** 64
    for workers in ((), ("1",), ("2",), ("4",)):
        p = run("sum", str(n), *workers)
        t.ok(p.returncode == 0 and p.stdout == b"%d\n" % want,
             f"sum of {n} squares, workers: {' '.join(workers) or 'default'}", p)
for args in ((), ("0",), ("many",), ("-5",), ("10", "0"), ("10", "5000"), ("1", "1", "1")):
    p = run("sum", *args)
    t.ok(p.returncode == 2 and b"usage: sum" in p.stderr, f"sum {' '.join(args)}: usage", p)

with tempfile.TemporaryDirectory() as top:
    for i in range(12):
        folder = os.path.join(top, *[f"d{i % k}" for k in range(2, 5)], f"e{i}")
        os.makedirs(folder, exist_ok=True)
        for k in range(i):
            with open(os.path.join(folder, f"file {k}"), "wb") as f:
                f.write(bytes((i * k + j) % 256 for j in range(k * 200)))
    want = b"%016x\n" % hash_of(top)
    for _ in range(5):
        p = run("hash-tree", top)
        t.ok(p.returncode == 0 and p.stdout == want, "the hash of a folder", (p, want))
    with open(os.path.join(top, "d0", "one more"), "wb") as f:
        f.write(b"x")
    p = run("hash-tree", top)
    t.ok(p.returncode == 0 and p.stdout == b"%016x\n" % hash_of(top) != want,
         "one more file, another hash", p)
    os.symlink("nowhere", os.path.join(top, "link"))
    p = run("hash-tree", top)
    t.ok(p.returncode == 1 and b"cannot read" in p.stderr and b"/link" in p.stderr, "what is no file is told", p)
    for args in ((), (os.path.join(top, "missing"),), (top, top)):
        p = run("hash-tree", *args)
        t.ok(p.returncode == 2 and b"usage: hash-tree" in p.stderr,
             f"hash-tree with {len(args)} wrong arguments: usage", p)

for n in (0, 1, 255, 256, 257, 513, scale(20000)):
    lines = [b"line %d " % i * (i % 9) for i in range(n)]
    data = b"".join(x + b"\n" for x in lines)
    want = b"".join(x[::-1] + b"\n" for x in lines)
    p = run("pipeline", data=data)
    t.ok(p.returncode == 0 and p.stdout == want, f"a pipeline of {n} lines", p.stderr)
p = run("pipeline", data=b"abc\ndef")
t.ok(p.stdout == b"cba\nfed", "a last line without its end", p)
t.done()
