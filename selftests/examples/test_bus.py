#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The example of a publisher and its subscribers: each gets what it asked for."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT, scale

t = Ktap()
nr = scale(5000)
lines = []
for i in range(nr):
    lines += [f"sports.football.live {i} goal", f"sports.tennis {i}", f"weather.warning {i}",
              f"weather.sea.warning {i}", "not..a.topic x"]
p = subprocess.run([os.path.join(ROOT, "build/bin/examples/news")],
                   input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=300)
t.ok(p.returncode == 0 and
     p.stdout == f"goals {nr}, warnings {nr}, all {4 * nr}, no topic {nr}\n",
     "each subscriber got what it asked for", p)
p = subprocess.run([os.path.join(ROOT, "build/bin/examples/news")], input="",
                   capture_output=True, text=True, timeout=60)
t.ok(p.returncode == 0 and p.stdout == "goals 0, warnings 0, all 0, no topic 0\n",
     "no news", p)
t.done()
