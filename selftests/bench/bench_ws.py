#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""WebSocket echo servers beside each other: messages a second of server CPU.

Each server runs on core 0, pulse-wsbench on core 1, one server at a time and
in turns, so that all of them see the same machine; what counts is messages by
the server's own utime + stime, which a busy machine changes least. Every round
starts them anew and in another order: one process of the same program can be
slower than another by 7 % for all its life, and who comes first gains or loses.
Prints a table of ratios to a raw epoll echo of the same bytes, and a line
"JSON {...}" a figure; --json FILE has those as one array besides. "again" is the
raw echo once more: what its ratio differs from 1 by is noise, and so is as much of
the others'.

usage: bench_ws.py [--quick|--full] [--rounds N] [--seconds S] [--servers A,B]
		   [--cells C,S,D;...] [--json FILE]

--full adds 1,000 connections, and takes about half an hour with all servers.
"""
import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)) + "/../..")
BIN = "build/bin"
PEERS = "build/selftests/bench"
NODE = "build/bench/node"
FULL = [(c, s, d) for c in (1, 100, 1000) for s in (20, 512, 16 << 10, 1 << 20)
        for d in (1, 16) if c * s * d <= 1 << 30]
USUAL = [c for c in FULL if c[0] < 1000]
# From so many bytes under way at once, a run lasts long enough for a few rounds.
MANY_BYTES = 64 << 20
QUICK = [(1, 20, 1), (1, 20, 16), (100, 20, 1), (100, 20, 16), (100, 512, 16),
         (100, 16 << 10, 1), (100, 16 << 10, 16), (1, 1 << 20, 1)]
TICKS = os.sysconf("SC_CLK_TCK")


def install_ws():
    """npm ws below build/; False where there is no way to it."""
    if os.path.isdir(NODE + "/node_modules/ws"):
        return True
    os.makedirs(NODE, exist_ok=True)
    try:
        subprocess.run(["npm", "install", "--prefix", NODE, "--no-audit",
                        "--no-fund", "--silent", "ws"], check=True, timeout=120,
                       stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return os.path.isdir(NODE + "/node_modules/ws")


def commands():
    """Server by name: its command, and the scheme of its URL."""
    echo = [BIN + "/ws-echo", "--listen", "127.0.0.1:0", "--backend", "user",
            "--max-message", str(64 << 20)]
    found = {"raw": ([PEERS + "/peer_ws_raw"], "tcp"),
             "again": ([PEERS + "/peer_ws_raw"], "tcp"),
             "epoll": (echo + ["--poller", "epoll"], "ws"),
             "io_uring": (echo + ["--poller", "io_uring"], "ws")}
    found["lws"] = ([PEERS + "/peer_ws_lws", "7999"], "ws")
    if install_ws():
        found["node"] = (["node", "selftests/bench/peer_ws_node.js"], "ws")
    else:
        print("# no npm ws: needs node and npm, and a registry")
    return found


class Server:
    """A server that runs, alone on core 0."""

    def __init__(self, command, scheme):
        env = dict(os.environ, NODE_PATH=os.path.abspath(NODE) + "/node_modules")
        self.proc = subprocess.Popen(["taskset", "-c", "0"] + command, env=env,
                                     stdout=subprocess.PIPE, text=True)
        self.port = None
        for line in self.proc.stdout:
            m = re.search(r"(?:^|127\.0\.0\.1:)(\d+)$", line.strip())
            if m:
                self.port = m.group(1)
                break
        self.url = f"{scheme}://127.0.0.1:{self.port}/"

    def cpu_s(self):
        """utime + stime, by the scheduler's own clock where it tells."""
        ns = 0
        try:
            for task in os.listdir(f"/proc/{self.proc.pid}/task"):
                with open(f"/proc/{self.proc.pid}/task/{task}/schedstat",
                          encoding="ascii") as f:
                    ns += int(f.read().split()[0])
            return ns / 1e9
        except OSError:
            with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / TICKS

    def end(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


def load(server, cell, seconds):
    """One run: messages a CPU second, and p50 and p99 in microseconds."""
    conns, size, depth = cell
    if conns * size * depth >= MANY_BYTES:
        seconds *= 1 + conns * size * depth / (256 << 20)
    before = server.cpu_s()
    out = subprocess.run(
        ["taskset", "-c", "1", BIN + "/pulse-wsbench", "-j", "-c", str(conns),
         "-s", str(size), "-d", str(depth), "-t", f"{seconds:.2f}", "-w", "0",
         server.url], stdout=subprocess.PIPE, text=True, check=False)
    cpu = server.cpu_s() - before
    j = json.loads(out.stdout)
    if out.returncode or j["why"]:
        raise RuntimeError(f"{server.url}: {j['why']}")
    return j["verified"] / cpu, j["latency_us"]["p50"], j["latency_us"]["p99"]


def measure(names, cell, args):
    """Rounds over all servers; by name the lists of what load() tells.

    Who fails is left out and named in the second list.
    """
    told, failed = {n: [] for n in names}, []

    def run(name):
        server = Server(*args.commands[name])
        try:
            load(server, cell, args.seconds / 4)
            told[name].append(load(server, cell, args.seconds))
        except (RuntimeError, ValueError, ZeroDivisionError) as e:
            print(f"# {name} {cell}: {e}", file=sys.stderr)
            failed.append(name)
            told.pop(name)
        finally:
            server.end()

    for _ in range(args.rounds):
        for n in random.sample(names, len(names)):
            if n in told:
                run(n)
    return told, failed


def show(cell, told):
    """A line of the table, and its figures as JSON; returns these."""
    figures = []
    conns, size, depth = cell
    line = f"{conns:5} {size:8} {depth:3} "
    for name, runs in told.items():
        ratios = [r[0] / b[0] for r, b in zip(runs, told["raw"])]
        # A run that was too short for its own percentile has none.
        p99 = [r[2] / b[2] for r, b in zip(runs, told["raw"]) if b[2]] or [0.0]
        per_s = statistics.median(r[0] for r in runs)
        ratio = statistics.median(ratios)
        if name == "raw":
            line += f"{per_s:11.0f}/s "
        else:
            line += f"{ratio:6.2f} ({min(ratios):.2f}-{max(ratios):.2f}) {statistics.median(p99):5.2f} "
        figures.append({
            "bench": "ws", "server": name, "connections": conns,
            "size_bytes": size, "depth": depth,
            "messages_per_cpu_s": round(per_s, 1), "ratio": round(ratio, 4),
            "ratio_min": round(min(ratios), 4), "ratio_max": round(max(ratios), 4),
            "p50_us": statistics.median(r[1] for r in runs),
            "p99_us": statistics.median(r[2] for r in runs),
            "p99_ratio": round(statistics.median(p99), 4), "rounds": len(runs)})
        print("JSON " + json.dumps(figures[-1]))
    print(line, flush=True)
    return figures


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--quick", action="store_true")
    p.add_argument("--full", action="store_true")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--servers")
    p.add_argument("--cells", help="connections,size,depth;...")
    p.add_argument("--json", help="all figures as one array into this file")
    args = p.parse_args()
    if (os.cpu_count() or 1) < 2:
        print("# needs two cores: one for the server, one for the load")
        return 0
    args.commands = commands()
    cells = QUICK if args.quick else FULL if args.full else USUAL
    if args.quick:
        args.rounds, args.seconds = min(args.rounds, 3), min(args.seconds, 0.5)
    if args.cells:
        cells = [tuple(int(v) for v in c.split(",")) for c in args.cells.split(";")]
    names = ["raw", "again"]
    names += [n for n in (args.servers or "epoll,io_uring,lws,node").split(",")
              if n in args.commands and n not in names]
    print("messages a second of server CPU: raw epoll echo, then the others' ratio to it\n"
          "(least-greatest), and that of their p99\n"
          "conns    bytes deep " + "".join(f"{n:>14}" if n == "raw" else f"{n:>24}"
                                            for n in names))
    figures, rc = [], 0
    for cell in cells:
        told, failed = measure(names, cell, args)
        if "raw" in told:
            figures += show(cell, told)
        rc = 1 if failed else rc
        if args.json:	# as far as it has come
            with open(args.json, "w", encoding="ascii") as f:
                json.dump(figures, f, indent=1)
    return rc


if __name__ == "__main__":
    sys.exit(main())
