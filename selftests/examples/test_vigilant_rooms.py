#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The rooms of vigilant-server without a browser: what it takes, refuses, and keeps.

A line that somebody was told of is recorded and told to all, whatever is crashed
meanwhile and though SIGTERM comes in the middle.
"""
import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import websockets
from ktap import Ktap, scale
from server import Server


def get(s, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{s.port}{path}", timeout=30) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def eventually(cond, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cond():
            return True
        time.sleep(0.1)
    return False


def connect(s, path, **kw):
    return websockets.connect(f"ws://127.0.0.1:{s.port}{path}", open_timeout=30, **kw)


async def event(ws, kind):
    while True:
        m = json.loads(await asyncio.wait_for(ws.recv(), 60))
        if m["event"] == kind:
            return m


async def joined(s, room, nick):
    ws = await connect(s, "/room", max_queue=None)
    await ws.send(f"join {room} {nick}")
    await event(ws, "join")
    return ws


async def refusals(t, s):
    async with connect(s, "/room") as ws:
        for text in ("say too early", "join", "join room", "join a/b me", "join " + 40 * "x" + " me",
                     "join room " + 40 * "n", "join room me again", "dance", "", b"join room me"):
            await ws.send(text)
            m = await event(ws, "refused")
            t.ok("request" in m["why"], f"refused: {text[:20]!r}", m)
        await ws.send("join room me")
        t.ok((await event(ws, "join"))["members"] == 1, "and then let in")
        await ws.send("say " + 1001 * "x")
        t.ok("request" in (await event(ws, "refused"))["why"], "a line that is too long")
        await ws.send("say " + 1000 * "x")
        t.ok(len((await event(ws, "say"))["text"]) == 1000, "one that is not")
        await ws.send('say "quotes" \\ and \t tab')
        t.ok((await event(ws, "say"))["text"] == '"quotes" \\ and \t tab', "comes as it was said")
        await ws.send("leave")
        await ws.send("say gone")
        t.ok("request" in (await event(ws, "refused"))["why"], "who left cannot say anything")
    async with connect(s, "/feed") as ws:
        for text, why in (("crash nobody fail", "nobody"), ("crash scribe dance", "request"),
                          ("crash", "request"), ("crash room segv", "request"), ("x" * 100, "request")):
            await ws.send(text)
            while "event" not in (m := json.loads(await asyncio.wait_for(ws.recv(), 60))):
                pass
            t.ok(why in m["why"], f"refused: {text[:20]!r}", m)
    for origin, lets in ((f"http://127.0.0.1:{s.port}", True), ("http://evil.example", False),
                         ("null", False)):
        try:
            async with connect(s, "/feed", origin=origin):
                came = True
        except websockets.InvalidStatusCode:
            came = False
        t.ok(came == lets, f"from a page of {origin}: {'let in' if lets else 'refused'}")


async def rooms_full(t, s):
    async with connect(s, "/room") as ws:
        names = []
        while True:
            await ws.send(f"join many-{len(names)} me")
            m = json.loads(await asyncio.wait_for(ws.recv(), 60))
            if m["event"] == "refused":
                break
            if m["event"] == "join":
                names.append(m["room"])
        t.ok("as many rooms" in m["why"] and len(names) == 64, "64 rooms, then refused", len(names))


async def talk(ws, told, other, nr, pace):
    """Says lines until refused or closed; told: what came back to it, other: to the other."""
    async def listen(who, into):
        try:
            async for text in who:
                m = json.loads(text)
                if m["event"] == "say":
                    into.append((m["n"], m["text"]))
        except websockets.ConnectionClosed:
            pass
    ears = [asyncio.create_task(listen(ws, told)), asyncio.create_task(listen(other[0], other[1]))]
    try:
        for i in range(nr):
            await ws.send(f"say line {i}")
            if pace:
                await asyncio.sleep(pace)
    except websockets.ConnectionClosed:
        pass
    return ears


async def crashes(t, s):
    """Lines go on while the scribe is crashed again and again."""
    told, heard, nr = [], [], scale(2000)
    before = json.loads(get(s, "/health")[1])
    a, b = await joined(s, "storm", "a"), await joined(s, "storm", "b")
    ears = await talk(a, told, (b, heard), 0, 0)
    async with connect(s, "/feed") as feed:
        for i in range(nr):
            await a.send(f"say line {i}")
            if i % (nr // 4) == nr // 8:
                await feed.send("crash scribe " + ("segv", "exit")[i % 2])
            if i % (nr // 4) == nr // 5:
                await feed.send("crash storm fail")
            if i % 20 == 0:
                await asyncio.sleep(0.01)
        end = time.monotonic() + 120
        while len(heard) < nr and time.monotonic() < end:
            await asyncio.sleep(0.1)
    want = [(i + 1, f"line {i}") for i in range(nr)]
    t.ok(told == want and heard == want, f"{nr} lines, each once and in order, to both",
         (len(told), len(heard)))

    def recorded():
        h = json.loads(get(s, "/health")[1])
        return h["recorded"] == before["recorded"] + nr and h["lost"] == 0 and h["backlog"] == 0
    t.ok(eventually(recorded), "each recorded once", get(s, "/health"))
    h = json.loads(get(s, "/health")[1])
    lives = {c["id"]: c["restarts"] for c in h["children"]}
    t.ok(lives["scribe"] >= 1 and lives["storm"] >= 1, "though both were crashed meanwhile", lives)
    await a.close()
    await b.close()
    await asyncio.gather(*ears)


async def killed(t, s):
    """Whoever kills the process: it is back, and the reason is on the page."""
    def scribe():
        return [c for c in json.loads(get(s, "/health")[1])["children"] if c["id"] == "scribe"][0]
    t.ok(eventually(lambda: scribe()["status"] == "running"), "the scribe runs")
    pid, life = scribe()["pid"], scribe()["life"]
    os.kill(pid, signal.SIGKILL)
    t.ok(eventually(lambda: scribe()["life"] > life and scribe()["status"] == "running" and
                    scribe()["why"] == "ended by SIGKILL"), "killed from outside", scribe())
    t.ok(eventually(lambda: get(s, "/health")[0] == 200), "well again", get(s, "/health"))
    text = get(s, "/metrics")[1]
    t.ok(re.search(r'^vigilant_restarts_total\{child="scribe",kind="process"\} [1-9]', text, re.M) and
         "\nvigilant_up 1\n" in text, "and counted for Prometheus", text)


async def drained(t, s):
    """SIGTERM while lines come in: what was told to one was told to the other."""
    told, heard = [], []
    a, b = await joined(s, "last", "a"), await joined(s, "last", "b")
    before = json.loads(get(s, "/health")[1])["recorded"]
    task = asyncio.create_task(talk(a, told, (b, heard), 1000000, 0.0005))
    while len(told) < 50:
        await asyncio.sleep(0.05)
    s.proc.send_signal(signal.SIGTERM)
    ears = await asyncio.wait_for(task, 120)
    await asyncio.wait_for(asyncio.gather(*ears), 120)
    rc = await asyncio.to_thread(s.stop, 0)
    t.ok(rc == 0, "SIGTERM ends it gracefully", (rc, s.out))
    t.ok(told == heard and [n for n, _ in told] == list(range(1, len(told) + 1)),
         f"{len(told)} lines, all to both", (len(told), len(heard), told[-2:], heard[-2:]))
    m = re.search(r"(\d+) lines accepted, (\d+) told, (\d+) lost", s.out)
    t.ok(m and m[1] == m[2] and m[3] == "0" and int(m[1]) == before + len(told),
         "as many as were accepted and recorded", (s.out, before, len(told)))
    t.ok(a.close_code == 1001 and b.close_code == 1001, "connections were closed as going away",
         (a.close_code, b.close_code))


t = Ktap()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("")
name = notify.getsockname().decode()
with Server("vigilant-server", "--visitors", "40",
            env={"NOTIFY_SOCKET": "@" + name[1:]}) as server:
    notify.settimeout(30)
    t.ok(b"READY=1" in notify.recv(4096), "the service manager is told that it is ready")
    t.ok(eventually(lambda: get(server, "/health")[0] == 200), "/health says 200",
         get(server, "/health"))
    t.ok(get(server, "/nothing")[0] == 404, "/nothing says 404")
    asyncio.run(refusals(t, server))
    asyncio.run(crashes(t, server))
    asyncio.run(killed(t, server))

    async def crowd():
        here = [await connect(server, "/room") for _ in range(40)]
        try:
            async with connect(server, "/room"):
                t.ok(False, "a visitor too many is refused")
        except websockets.InvalidStatusCode as e:
            t.ok(e.status_code == 503, "a visitor too many is refused", e)
        for ws in here:
            await ws.close()
    asyncio.run(crowd())
    t.ok(eventually(lambda: "\nvigilant_visitors 0\n" in get(server, "/metrics")[1]),
         "all have given their place back", get(server, "/metrics"))
    asyncio.run(drained(t, server))
    t.ok(b"STOPPING=1" in notify.recv(4096), "the service manager is told that it ends")
with Server("vigilant-server") as server:
    asyncio.run(rooms_full(t, server))
    t.ok(server.stop(signal.SIGTERM) == 0, "and it ends", server.out)
t.done()
