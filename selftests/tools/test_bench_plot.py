#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Each figure that a benchmark tells is one that selftests/bench/plot can draw."""
import glob
import importlib.machinery
import importlib.util
import os
import re
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)) + "/../..")
sys.dont_write_bytecode = True
sys.path.insert(0, "selftests/lib")
loader = importlib.machinery.SourceFileLoader("plot", "selftests/bench/plot")
plot = importlib.util.module_from_spec(importlib.util.spec_from_loader("plot", loader))
loader.exec_module(plot)
points, bad = 0, 0
# Of no contenders: shares of what is ideal.
NO_BARS = ({"worst", "asleep"}, {"right"})


def point(good, name, why=""):
    global points, bad
    points += 1
    bad += not good
    if not good and why:
        print(f"# {why}")
    print(f"{'ok' if good else 'not ok'} {points} - {name}", flush=True)


def told(path):
    """Records as the formats in a benchmark's source tell them."""
    with open(path, encoding="utf-8") as f:
        source = f.read()
    for line in re.findall(r"JSON \{.*", source):
        keys = re.findall(r'\\"(\w+)\\":(\\"|%)', line)
        if keys:
            yield {k: "x" if text == '\\"' else 2.0 for k, text in keys}
    for body in re.findall(r'\{\s*"bench": "\w+",.*?\}\)', source, re.S):
        yield {k: 2.0 for k in re.findall(r'"(\w+)":', body)} | {
            k: "x" for k in ("bench", "server", "poller", "opcode") if f'"{k}"' in body}


print("KTAP version 1")
for path in sorted(glob.glob("selftests/bench/*.[ch]") + glob.glob("selftests/bench/*.py")):
    records = [r for r in told(path) if not any(n <= set(r) for n in NO_BARS)]
    if not records:
        continue
    drawn = [b for r in records for b in plot.bars_of(r)[2]]
    empty = [r for r in records if not plot.bars_of(r)[2] or not plot.bars_of(r)[0]]
    point(drawn and not empty, os.path.basename(path), f"cannot draw {empty}")

FIGURES = plot.contenders([
    {"bench": "b", "case": "c", "unit": "us", "pulse": 10, "pulse_spread_pct": 20,
     "peer": "p", "peer_value": 4, "peer_spread_pct": 50},
    {"bench": "f", "figure": "g", "unit": "ns", "name": "ours", "value": 3, "low": 2,
     "high": 5, "peer": "q", "peer_value": 7, "peer_low": 6, "peer_high": 9},
    {"bench": "f", "figure": "g", "unit": "ns", "name": "other", "value": 1, "low": 1,
     "high": 1, "peer": "q", "peer_value": 7, "peer_low": 6, "peer_high": 9},
    {"bench": "a", "case": "s", "unit": "ns", "workers": 2, "pulse": 1, "pulse_min": 0.5,
     "pulse_max": 2, "caf": 0.0, "erlang": 4.0}])
point(FIGURES[("b", "c")] == ("us", {"pulse": (10, 8, 12, True), "p": (4, 2, 6, False)}),
      "a spread in per cent becomes two ends", FIGURES)
point(FIGURES[("f", "g")] == ("ns", {"ours": (3, 2, 5, True), "q": (7, 6, 9, False),
                                     "other": (1, 1, 1, True)}),
      "contenders of one figure share a plot, a peer stands there once", FIGURES)
point(FIGURES[("a", "s, 2 workers")] == ("ns", {"pulse": (1, 0.5, 2, True),
                                                "erlang": (4, 4, 4, False)}),
      "who could not be measured has no bar", FIGURES)
print(f"1..{points}")
sys.exit(bad > 0)
