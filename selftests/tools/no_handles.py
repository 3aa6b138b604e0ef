#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""U01: each exported function, called with nothing in hand.

Every function of the symbol map is called with all arguments 0, in a child
process: it comes back, and where it takes a pointer it says -EINVAL (or another
error), unless its comment in the header speaks of NULL. Speaks KTAP.
"""
import ctypes
import glob
import os
import re
import signal
import sys

sys.dont_write_bytecode = True
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "selftests", "lib"))
from ktap import Ktap  # noqa: E402

LIB = os.environ.get("PULSE_LIB") or os.path.join(TOP, "build/lib/libpulse-u.so.0")

# Slow halves of inline functions: what calls them has looked at the handle.
HALVES = re.compile(r"_slow$|_heard$|_take_last$")
# A thread's own words, no function.
VARIABLES = {"pulse_fork_self"}


def declared():
    """Of each public function: its type, its parameters, its comment."""
    out = {}
    for path in sorted(glob.glob(os.path.join(TOP, "include/pulse-u/*.h"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for m in re.finditer(r"PULSE_API\s+([^;]*?)\b(pulse_\w+)\s*\(([^;]*)\)[^;()]*;", text):
            head = text[:m.start()].rstrip()
            doc = ""
            if head.endswith("*/"):
                doc = head[head.rfind("/*"):]
            params = re.sub(r"\s+", " ", m.group(3)).strip()
            out[m.group(2)] = (re.sub(r"\s+", " ", m.group(1)).strip(), params, doc)
    return out


def exported():
    with open(os.path.join(TOP, "ulib/libpulse-u.map"), encoding="utf-8") as f:
        return re.findall(r"^\t(pulse_\w+);$", f.read(), re.M)


def call(lib, name, kind):
    """What it returns; or a text: how the call ended."""
    rd, wr = os.pipe()
    pid = os.fork()
    if not pid:
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        signal.alarm(60)
        fn = getattr(lib, name)
        fn.restype = {"int": ctypes.c_int, "bool": ctypes.c_bool}.get(kind, ctypes.c_int64)
        fn.argtypes = [ctypes.c_int64] * 10
        os.write(wr, str(int(fn(*[0] * 10) or 0)).encode())
        os._exit(0)
    os.close(wr)
    said = os.read(rd, 64)
    os.close(rd)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return "ended by " + signal.Signals(os.WTERMSIG(status)).name
    return int(said) if said else f"ended with {os.waitstatus_to_exitcode(status)}"


def main():
    t = Ktap()
    known = declared()
    names = exported()
    lib = ctypes.CDLL(LIB)
    crashed, silent, missing = [], [], []
    asked = 0
    for name in names:
        if name in VARIABLES:
            continue
        if name not in known:
            missing.append(name)
            continue
        kind, params, doc = known[name]
        # What is returned in memory of the caller's has one argument more.
        if HALVES.search(name) or (kind.startswith("struct") and "*" not in kind):
            continue
        got = call(lib, name, kind)
        asked += 1
        if isinstance(got, str):
            crashed.append(f"{name}: {got}")
        elif kind in ("int", "int64_t", "ssize_t") and "*" in params and \
                got >= 0 and "NULL" not in doc:
            silent.append(f"{name}: {got}")
    t.note(f"{asked} functions")
    t.ok(asked > 600 and not missing, "each exported function is a public one", missing)
    t.ok(not crashed, "without a handle each comes back", "\n".join(crashed))
    t.ok(not silent, "and says that it was given none, or its comment that none is needed",
         "\n".join(silent))
    t.done()


main()
