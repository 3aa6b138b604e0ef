#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What an echo server does for a message: instructions and system calls.

ws-echo runs under callgrind, twice a figure, with different numbers of messages;
the difference is what the messages cost, without the start and the handshakes.
Instructions are those in user space, of the program and all its libraries. It is
the same on a busy machine, but depends on the compiler and the C library.

With io_uring only system calls are counted, by strace: valgrind stands still while
a thread waits in io_uring_enter().

usage: bench_ws_work.py [--quick] [--pollers A,B] [--messages N] [--keep FILE]
"""
import argparse
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

os.chdir(os.path.dirname(os.path.abspath(__file__)) + "/../..")
# connections, bytes, messages under way on each
CELLS = [(1, 20, 1), (1, 20, 16), (100, 20, 1), (100, 20, 16), (1, 512, 1)]
QUICK = CELLS[:2]
KEY = b"\x12\x9a\x5e\x07"
TEXT, BINARY = 1, 2


def frame(size, opcode):
    """A masked frame of ASCII, and how many bytes its echo has."""
    data = bytes(ord("a") + i % 26 for i in range(size))
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    mask = (KEY * (size // 4 + 1))[:size]
    return head + KEY + bytes(a ^ b for a, b in zip(data, mask)), len(head) + size


def connect(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
              b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += s.recv(1)
    if b" 101 " not in answer:
        raise RuntimeError(f"no upgrade: {answer!r}")
    return s


def receive(s, left):
    while left:
        got = s.recv(left)
        if not got:
            raise RuntimeError("the server has closed a connection")
        left -= len(got)


def counted(out, by_strace):
    """What the counter has written: instructions, or None, and system calls."""
    if by_strace:
        until = time.monotonic() + 60	# it ends after the server
        while True:
            with open(out, encoding="ascii") as f:
                totals = [x.split() for x in f if x.rstrip().endswith(" total")]
            if totals:
                return None, int(totals[0][0])
            if time.monotonic() > until:
                raise RuntimeError("strace has not told anything")
            time.sleep(0.05)
    with open(out, encoding="ascii") as f:
        lines = f.read().split("\n")
    names = next(x for x in lines if x.startswith("events:")).split()[1:]
    sums = next(x for x in lines if x.startswith(("totals:", "summary:"))).split()[1:]
    by_name = dict(zip(names, map(int, sums)))
    return by_name["Ir"], by_name["sysCount"]


def count(poller, cell, opcode, rounds, keep):
    """Instructions and system calls of a server's whole life."""
    conns, size, depth = cell
    by_strace = poller == "io_uring"
    with tempfile.TemporaryDirectory() as folder:
        out = keep or folder + "/out"
        # -D: the server itself is our child.
        tool = ["strace", "-D", "-f", "-qq", "-c", "-U", "calls,name", "-o", out] if by_strace \
            else ["valgrind", "--tool=callgrind", "--collect-systime=yes", "--vgdb=no",
                  "--callgrind-out-file=" + out, "-q"]
        server = subprocess.Popen(
            tool + ["build/bin/ws-echo", "--listen", "127.0.0.1:0", "--backend",
                    "user", "--poller", poller], stdout=subprocess.PIPE, text=True)
        port, socks = None, []
        for line in server.stdout:
            if line.startswith("listening on "):
                port = int(line.rsplit(":", 1)[1])
                break
        try:
            if not port:
                raise RuntimeError(f"ws-echo --poller {poller} does not start")
            for _ in range(conns):
                socks.append(connect(port))
            bytes_out, answer = frame(size, opcode)
            for _ in range(rounds):
                for s in socks:
                    s.sendall(bytes_out * depth)
                for s in socks:
                    receive(s, answer * depth)
        finally:
            server.send_signal(signal.SIGTERM)
            for s in socks:
                s.close()
            server.wait()
        return counted(out, by_strace)


def measure(poller, cell, opcode, args):
    conns, _, depth = cell
    rounds = max(10, args.messages // (conns * depth))
    few = count(poller, cell, opcode, rounds, None)
    many = count(poller, cell, opcode, 3 * rounds, args.keep)
    messages = 2 * rounds * conns * depth
    return [a if a is None else (b - a) / messages for a, b in zip(few, many)]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--quick", action="store_true")
    p.add_argument("--pollers", default="epoll,io_uring")
    p.add_argument("--messages", type=int, default=2000)
    p.add_argument("--cells", help="connections,size,depth;...")
    p.add_argument("--keep", help="where callgrind's last profile is left")
    args = p.parse_args()
    for tool in ("valgrind", "strace"):
        if not shutil.which(tool):
            print(f"# needs {tool}, which counts; fix: apt install {tool}")
            return 0
    cells = QUICK if args.quick else CELLS
    if args.cells:
        cells = [tuple(int(v) for v in c.split(",")) for c in args.cells.split(";")]
    rc = 0
    print("a message's work in the server\n"
          "poller    conns bytes deep  opcode  instructions  system calls")
    for poller in args.pollers.split(","):
        for cell in cells:
            for opcode in (BINARY, TEXT):
                try:
                    ir, calls = measure(poller, cell, opcode, args)
                except (RuntimeError, OSError) as e:
                    print(f"# {poller} {cell}: {e}", file=sys.stderr)
                    rc = 1
                    continue
                name = "text" if opcode == TEXT else "binary"
                shown = "-" if ir is None else f"{ir:.1f}"
                print(f"{poller:8} {cell[0]:6} {cell[1]:5} {cell[2]:4}  {name:6} "
                      f"{shown:>13} {calls:13.3f}", flush=True)
                print("JSON " + json.dumps({
                    "bench": "ws_work", "poller": poller, "connections": cell[0],
                    "size_bytes": cell[1], "depth": cell[2], "opcode": name,
                    "instructions": ir and round(ir, 1), "system_calls": round(calls, 3)}))
    return rc


if __name__ == "__main__":
    sys.exit(main())
