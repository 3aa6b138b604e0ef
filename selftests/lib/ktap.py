# SPDX-License-Identifier: GPL-2.0-only
"""KTAP for tests in Python: named points, a plan at the end.

    from ktap import Ktap
    t = Ktap()
    t.ok(cond, "what it shows", "what was seen")
    t.done()
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def scale(n):
    """How much of n to do: PULSE_TEST_SCALE is in per cent."""
    return max(1, int(n * float(os.environ.get("PULSE_TEST_SCALE", "100")) / 100))


class Ktap:
    def __init__(self):
        self.n = self.failed = 0
        print("KTAP version 1", flush=True)

    def note(self, text):
        for line in str(text).splitlines() or [""]:
            print("#", line, flush=True)

    def ok(self, cond, name, seen=None):
        self.n += 1
        if not cond:
            self.failed += 1
        print(f"{'' if cond else 'not '}ok {self.n} - {name}", flush=True)
        if seen is not None and not cond:
            self.note(f"seen: {seen}")
        return bool(cond)

    def done(self):
        print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.failed or not self.n else 0)
