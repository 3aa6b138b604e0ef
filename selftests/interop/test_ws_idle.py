#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Ten thousand connections that say nothing: what memory each holds, and no CPU.

Memory is the server's own anonymous pages (smaps_rollup), what 9,000 connections
add to those of the first 1,000. Who sleeps is not switched to: a server that wakes
up while nobody says anything is found by the kernel's count, however short it is.
Then each connection gets one message back.
"""
import os
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap
from server import Server

FIRST = 1000
ALL = 10000
SPARE_FDS = 200
CASES = (("epoll", [], 400), ("io_uring", [], 2048), ("epoll", ["--deflate"], 1024))
HEAD = ("GET / HTTP/1.1\r\nHost: idle\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n")
OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
HELLO = bytes([0x82, 0x85, 0, 0, 0, 0]) + b"hello"
ANSWER = bytes([0x82, 0x05]) + b"hello"


def own_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) << 10 for line in f
                   if line.startswith(("Anonymous:", "Swap:")))


def switches(pid):
    """Of all its threads."""
    n = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
            n += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    return n


def sleeps(pid, seconds):
    """Whether there are so many seconds in which it is not run, soon."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        before = switches(pid)
        time.sleep(seconds)
        if switches(pid) == before:
            return True
    return False


def connect(port, head, answer):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Closed by a reset: what waited for a minute would keep ports from other tests.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.sendall(head)
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        piece = s.recv(4096)
        if not piece:
            raise RuntimeError(f"connection closed after {got!r}")
        got += piece
    if not got.startswith(b"HTTP/1.1 101") or (answer and answer not in got):
        raise RuntimeError(f"unexpected answer {got!r}")
    return s


def echoes(s):
    s.sendall(HELLO)
    got = b""
    while len(got) < len(ANSWER):
        piece = s.recv(64)
        if not piece:
            return False
        got += piece
    return got == ANSWER


def room():
    """How many sockets either side may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = ALL + SPARE_FDS
    if soft < want:
        soft = want if hard == resource.RLIM_INFINITY else min(want, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(ALL, soft - SPARE_FDS)


def run(t, poller, args, limit, nr):
    name = " ".join([poller] + args)
    head = (HEAD % (OFFER if args else "")).encode()
    with Server("ws-echo", "--poller", poller, *args) as s:
        pid = s.proc.pid
        conns = [connect(s.port, head, b"permessage-deflate" if args else b"")
                 for _ in range(FIRST)]
        before = own_bytes(pid)
        conns += [connect(s.port, head, b"") for _ in range(nr - FIRST)]
        each = (own_bytes(pid) - before) / (nr - FIRST)
        t.note(f"{name}: {each:.0f} bytes for each of {nr - FIRST} connections")
        t.ok(each <= limit, f"{name}: an idle connection is at most {limit} bytes", each)
        t.ok(sleeps(pid, 2), f"{name}: while nobody says anything it is not run")
        if not args:
            t.ok(all(echoes(c) for c in conns), f"{name}: then each gets its answer")
        for c in conns:
            c.close()
        t.ok(s.stop() == 0, f"{name}: SIGINT ends it", s.out)


def main():
    t = Ktap()
    nr = room()
    if nr < 2 * FIRST:
        t.ok(False, f"a process may have {2 * FIRST + SPARE_FDS} descriptors", "ulimit -n")
    else:
        for poller, args, limit in CASES:
            run(t, poller, args, limit, nr)
    t.done()


main()
