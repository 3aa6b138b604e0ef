#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""python3-websockets as the peer: each echo is equal to what was sent.

Eight connections, 10,000 messages in all (PULSE_TEST_SCALE, in per cent):
text and binary, 0 bytes to 1 MiB, whole and in fragments; half of them offer
permessage-deflate, each with other parameters. PULSE_WS_URL names a server that
runs already; otherwise build/bin/ws-echo is started.
"""
import asyncio
import os
import random
import re
import signal
import subprocess
import sys

try:
    import websockets
    from websockets.extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory as Deflate)
except ImportError:
    print("1..0 # SKIP python3-websockets is not installed")
    sys.exit(77)

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ECHO = os.environ.get("PULSE_WS_ECHO") or os.path.join(TOP, "build", "bin", "ws-echo")
CONNECTIONS = 8
SCALE = float(os.environ.get("PULSE_TEST_SCALE", "100")) / 100
PER_CONNECTION = max(20, int(10000 * SCALE) // CONNECTIONS)
EDGES = (0, 1, 2, 125, 126, 127, 65535, 65536, 65537, 1 << 20)
ALPHABET = "abc xyz 0189 äöü € 漢字 😀"

# One for each connection; None: plain.
OFFERS = (None, None, None, None,
          Deflate(),
          Deflate(client_max_window_bits=True),
          Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
          Deflate(server_max_window_bits=9, client_max_window_bits=10))

points = []


def point(name, ok, why=""):
    points.append(ok)
    if why:
        print("#", why.replace("\n", "\n# "))
    print(f"{'ok' if ok else 'not ok'} {len(points)} - {name}", flush=True)


def a_size(rnd, n):
    if n < len(EDGES):
        return EDGES[n]
    big = rnd.random()
    if big < 0.002:
        return rnd.randrange(100_000, 1 << 20)
    if big < 0.02:
        return rnd.randrange(5_000, 100_000)
    return rnd.randrange(0, 5_000 if big < 0.2 else 200)


def a_message(rnd, n):
    size = a_size(rnd, n)
    if rnd.random() < 0.5:
        return rnd.randbytes(size)
    text = "".join(rnd.choices(ALPHABET, k=min(size, 1000)))
    return (text * (size // max(1, len(text)) + 1))[:size]


def in_pieces(rnd, message):
    """The library sends what it is given as an iterable in fragments."""
    at, pieces = 0, []
    while at < len(message) or not pieces:
        step = rnd.randrange(0, max(2, len(message) // 2 + 1))
        pieces.append(message[at:at + step])
        at += step
    return pieces


async def talk(url, index):
    rnd = random.Random(1000 + index)
    wrong = 0
    offer = OFFERS[index % len(OFFERS)]
    async with websockets.connect(url, max_size=None, compression=None,
                                  extensions=[offer] if offer else None) as ws:
        agreed = [e.name for e in getattr(ws, "extensions", ws.protocol.extensions
                                          if hasattr(ws, "protocol") else [])]
        n = 0
        while n < PER_CONNECTION:
            batch = [a_message(rnd, n + i)
                     for i in range(min(rnd.choice((1, 1, 4, 16)), PER_CONNECTION - n))]

            async def send_all():
                for message in batch:
                    if len(message) > 1 and rnd.random() < 0.3:
                        await ws.send(in_pieces(rnd, message))
                    else:
                        await ws.send(message)

            sender = asyncio.ensure_future(send_all())
            for message in batch:
                answer = await ws.recv()
                if answer != message:
                    wrong += 1
            await sender
            n += len(batch)
            if rnd.random() < 0.05:
                await (await ws.ping())
    return n, wrong, ws.close_code, bool(offer) == bool(agreed)


async def everyone(url):
    done = await asyncio.gather(*(talk(url, i) for i in range(CONNECTIONS)))
    sent = sum(d[0] for d in done)
    wrong = sum(d[1] for d in done)
    point(f"{CONNECTIONS} connections, {sent} messages: each echo is equal",
          wrong == 0, f"{wrong} differ" if wrong else "")
    point("each closing handshake ends with 1000",
          all(d[2] == 1000 for d in done))
    if not os.environ.get("PULSE_WS_URL"):
        point("who offers compression gets it, nobody else",
              all(d[3] for d in done))


async def too_big(url):
    async with websockets.connect(url, max_size=None, compression=None) as ws:
        try:
            await ws.send(b"x" * ((16 << 20) + 1))
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
    point("a message over the limit closes with 1009", ws.close_code == 1009,
          f"{ws.close_code} {ws.close_reason}")


async def bomb(url):
    async with websockets.connect(url, max_size=None) as ws:
        try:
            await ws.send(b"\0" * ((16 << 20) + 1))
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
    point("16 KiB that inflate to more than the limit close with 1009",
          ws.close_code == 1009, f"{ws.close_code} {ws.close_reason}")


async def drained(url, server):
    async with websockets.connect(url, compression=None) as ws:
        await ws.send("still here")
        await ws.recv()
        server.send_signal(signal.SIGTERM)
        try:
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
    point("SIGTERM closes with 1001", ws.close_code == 1001, f"{ws.close_code}")
    point("and the server ends with 0", server.wait(30) == 0)


def start():
    server = subprocess.Popen([ECHO, "--listen", "127.0.0.1:0", "--threads", "2",
                               "--deflate"],
                              stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        print("#", line.strip())
        m = re.match(r"listening on (\S+)", line)
        if m:
            return server, f"ws://{m.group(1)}/any/path?x=1"
    print(f"Bail out! {ECHO} does not start")
    sys.exit(1)


def main():
    url = os.environ.get("PULSE_WS_URL")
    server = None
    print("KTAP version 1")
    if not url:
        if not os.path.exists(ECHO):
            print(f"Bail out! no {ECHO}; build it with make tools")
            return 1
        server, url = start()
    try:
        asyncio.run(everyone(url))
        asyncio.run(too_big(url))
        if server:
            asyncio.run(bomb(url))
        if server:
            asyncio.run(drained(url, server))
    finally:
        if server and server.poll() is None:
            server.kill()
    print(f"1..{len(points)}")
    return 0 if all(points) else 1


sys.exit(main())
