#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""examples/rooms: what is said in a room is heard there, and only there."""
import asyncio
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
try:
    import websockets
except ImportError:
    print("1..0 # SKIP python3-websockets is not installed")
    sys.exit(77)
from ktap import Ktap  # noqa: E402
from server import Server  # noqa: E402


async def talk(t, port):
    url = f"ws://127.0.0.1:{port}/"
    red = [await websockets.connect(url + "red") for _ in range(4)]
    blue = await websockets.connect(url + "blue")
    # Each has been heard of when its ping is answered.
    for ws in red + [blue]:
        await (await ws.ping())
    await red[0].send("hello")
    heard = [await asyncio.wait_for(ws.recv(), 30) for ws in red[1:]]
    t.ok(heard == ["hello"] * 3, "the others of the room hear it", heard)
    await red[1].send("back")
    t.ok(await asyncio.wait_for(red[0].recv(), 30) == "back",
         "who said it does not hear it, but what comes next")
    try:
        await asyncio.wait_for(blue.recv(), 0.5)
        t.ok(False, "another room hears nothing")
    except asyncio.TimeoutError:
        t.ok(True, "another room hears nothing")
    try:
        await websockets.connect(url)
        t.ok(False, "no room, no connection")
    except websockets.InvalidStatusCode as e:
        t.ok(e.status_code == 404, "no room, no connection", e.status_code)
    for ws in red + [blue]:
        await ws.close()


def main():
    t = Ktap()
    with Server("examples/rooms") as s:
        asyncio.run(talk(t, s.port))
        t.ok(s.stop() == 0, "and it ends with 0", s.out)
    t.done()


main()
