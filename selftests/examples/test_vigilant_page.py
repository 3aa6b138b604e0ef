#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The live page of vigilant-server in a real browser, under load.

Leaves a screenshot in build/screenshots/ for people to look at.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import chromium
from ktap import Ktap, ROOT
from server import Server

FIGURES = """({messages: document.querySelector('#messages').textContent,
  parks: document.querySelector('#parks').textContent,
  cards: document.querySelectorAll('.w').length,
  states: [...document.querySelectorAll('.w')].map(e => e.dataset.state)})"""


async def main(t, s):
    async with chromium.Page(f"http://127.0.0.1:{s.port}/") as p:
        t.ok(await p.until("document.querySelectorAll('.w').length > 0"),
             "the page draws the workers")
        badge = await p.js("document.querySelector('#backend').textContent")
        t.ok(badge in ("user backend", "kernel backend"), "it says which backend serves", badge)
        why = await p.js("document.querySelector('#why').textContent")
        t.ok(len(why) > 10, "and why", why)
        before = await p.js(FIGURES)
        await p.js("document.querySelector('#echo').requestSubmit()")
        t.ok(await p.until("document.querySelector('#log').textContent.startsWith('echoed in')"),
             "a message typed into the page comes back equal",
             await p.js("document.querySelector('#log').textContent"))
        await p.js("document.querySelector('#load').click()")
        t.ok(await p.until("last && last.messages > 500 &&"
                           " document.querySelector('#rate').textContent !== '0'", 60),
             "under load messages are counted", await p.js(FIGURES))
        seen = set()
        for _ in range(40):
            f = await p.js(FIGURES)
            seen.update(f["states"])
            if len(seen) > 1:
                break
            await asyncio.sleep(0.1)
        after = await p.js(FIGURES)
        t.ok(after["messages"] != before["messages"] and after["parks"] != before["parks"],
             "the figures move", (before, after))
        t.ok(len(seen) > 1, "workers are seen in more than one state", seen)
        t.ok(not p.console, "no error in the page's console", p.console)
        os.makedirs(os.path.join(ROOT, "build/screenshots"), exist_ok=True)
        path = os.path.join(ROOT, "build/screenshots/vigilant.png")
        await p.shot(path)
        t.ok(os.path.getsize(path) > 10000, "a screenshot was taken")
        t.note(path)


t = Ktap()
if not chromium.program():
    t.ok(False, "Chromium is installed", "run scripts/setup packages tests")
    t.done()
with Server("vigilant-server") as server:
    asyncio.run(main(t, server))
    t.ok(server.stop() == 0, "SIGINT ends the server gracefully", server.out)
t.done()
