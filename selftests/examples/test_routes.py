#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""examples/routes: pages by path, a group that wants a key, echo beside them."""
import asyncio
import os
import sys
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
try:
    import websockets
except ImportError:
    print("1..0 # SKIP python3-websockets is not installed")
    sys.exit(77)
from ktap import Ktap  # noqa: E402
from server import Server  # noqa: E402

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(port, path):
    try:
        with NO_PROXY.open(f"http://127.0.0.1:{port}{path}", timeout=30) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, ""


async def echo(port, path):
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}") as ws:
            await ws.send("to and fro")
            return await asyncio.wait_for(ws.recv(), 30)
    except websockets.InvalidStatusCode as e:
        return e.status_code


def main():
    t = Ktap()
    with Server("examples/routes") as s:
        for path, want in (("/hello/world", (200, "hello, world\n")),
                           ("/hello/a%20b", (200, "hello, a b\n")),
                           ("/hello/", (404, "")),
                           ("/hello/a/b", (404, "")),
                           ("/admin/x", (401, "")),
                           ("/%61dmin/x", (401, "")),
                           ("/admin/x?key=wrong", (401, "")),
                           ("/admin/x?key=sesame", (200, "at your service, x\n")),
                           ("/echo", (426, "")),
                           ("/", (404, ""))):
            seen = get(s.port, path)
            t.ok(seen == want, f"{path} is answered with {want[0]}", seen)
        seen = asyncio.run(echo(s.port, "/echo"))
        t.ok(seen == "to and fro", "messages come back on /echo", seen)
        seen = asyncio.run(echo(s.port, "/later?key=sesame"))
        t.ok(seen == "to and fro", "and on /later, once a thread has decided", seen)
        seen = asyncio.run(echo(s.port, "/later?key=wrong"))
        t.ok(seen == 401, "which may refuse", seen)
        seen = asyncio.run(echo(s.port, "/hello/x"))
        t.ok(seen == 404, "a page is no WebSocket", seen)
        t.ok(s.stop() == 0, "and it ends with 0", s.out)
    t.done()


main()
