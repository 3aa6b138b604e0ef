#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A WebAssembly module behind a WebSocket server: it answers, it traps, it never
ends, and the server goes on."""
import asyncio
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ktap import Ktap, ROOT


def skip(why):
    print(f"KTAP version 1\n1..0 # SKIP {why}")
    sys.exit(77)


try:
    import websockets
except ImportError:
    skip("no python3-websockets")


async def talk(address):
    async with websockets.connect(f"ws://{address}/") as ws:
        async def ask(text):
            await ws.send(text)
            return await asyncio.wait_for(ws.recv(), 60)

        t.ok(await ask("hello, world") == "HELLO, WORLD", "it answers")
        t.ok((await ask("!")).startswith("module failed: "),
             "a write out of bounds costs an answer that says so")
        t.ok(await ask("go on") == "GO ON", "and nothing else")
        t.ok((await ask("...")).startswith("module failed: "),
             "an endless loop ends in time")
        t.ok(await ask("still here") == "STILL HERE", "and the connection stays")
        t.ok((await ask("x" * 5000)).startswith("module failed: "),
             "its own error is passed on")


with tempfile.TemporaryDirectory() as tmp:
    cc = subprocess.run([f"{ROOT}/tools/wasm/pulse-wasm-cc",
                         f"{ROOT}/examples/wasm/shout.c", "-o", f"{tmp}/shout.so"],
                        capture_output=True, text=True, check=False)
    if cc.returncode == 77:
        skip(cc.stderr.strip())
    t = Ktap()
    t.ok(cc.returncode == 0, "the module compiles", cc.stderr)
    server = subprocess.Popen([f"{ROOT}/build/bin/examples/wasm-filter", f"{tmp}/shout.so"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    asyncio.run(talk(server.stdout.readline().strip()))
    server.stdin.close()
    t.ok(server.wait(60) == 0, "it ends in order")
t.done()
