#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The live page of vigilant-server in a real browser, under load.

Leaves screenshots in build/screenshots/ for people to look at.
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


SCRIBE = "document.querySelector('[data-id=scribe]')"
ENDS = {"SIGSEGV": "ended by SIGSEGV", "abort()": "ended by SIGABRT",
        "exit(3)": "ended with code 3", "hang": "hung: no beat in its time"}


async def picture(t, p, name):
    os.makedirs(os.path.join(ROOT, "build/screenshots"), exist_ok=True)
    path = os.path.join(ROOT, "build/screenshots", name)
    await p.shot(path)
    t.ok(os.path.getsize(path) > 10000, f"a screenshot was taken: {name}")
    t.note(path)


async def join(p, room, nick):
    await p.js(f"""document.querySelector('#room').value = '{room}';
        document.querySelector('#nick').value = '{nick}';
        document.querySelector('#join').requestSubmit()""")
    return await p.until("!document.querySelector('#line').disabled")


async def say(p, text):
    await p.js(f"""document.querySelector('#line').value = '{text}';
        document.querySelector('#say').requestSubmit()""")


async def hears(p, who, text):
    return await p.until("[...document.querySelectorAll('#lines .said')].some("
                         f"e => e.textContent === '{who} {text}')")


async def crash(t, p, button):
    """Clicks a way to crash the scribe, and sees its end, the reason and the next life."""
    life = f"{SCRIBE}.textContent.match(/life (\\d+)/)[1]"
    await p.until(f"{SCRIBE}.classList.contains('running')")
    before = int(await p.js(life))
    await p.js(f"[...{SCRIBE}.querySelectorAll('button')].find("
               f"b => b.textContent === '{button}').click()")
    t.ok(await p.until(f"{SCRIBE}.classList.contains('running') && {life} > {before}", 60),
         f"crashed by {button} it runs again", await p.js(f"{SCRIBE}.textContent"))
    t.ok(await p.until(f"{SCRIBE}.querySelector('em').textContent === '{ENDS[button]}'"),
         "and the page says exactly why it ended", await p.js(f"{SCRIBE}.textContent"))


async def house(t, p, s):
    """What is supervised, and the rooms."""
    t.ok(await p.until("document.querySelector('#health').textContent === 'ok'"),
         "all are well", await p.js("document.querySelector('#health').textContent"))
    async with chromium.Page(f"http://127.0.0.1:{s.port}/") as q:
        await q.call("Emulation.setDeviceMetricsOverride", width=390, height=844,
                     deviceScaleFactor=1, mobile=True)
        t.ok(await join(p, "kitchen", "ann") and await join(q, "kitchen", "bob"),
             "two tabs join a room")
        await say(p, "soup is <b>ready</b>")
        t.ok(await hears(p, "ann", "soup is <b>ready</b>") and
             await hears(q, "ann", "soup is <b>ready</b>"), "what one says both see, as text")
        await say(q, "coming")
        t.ok(await hears(p, "bob", "coming"), "and the other way round")
        for button in ENDS:
            await crash(t, p, button)
            await say(q, "after " + button)
            t.ok(await hears(p, "bob", "after " + button), "the room did not notice")
        t.ok(await p.until("document.querySelector('#recorded').textContent === '6' &&"
                           " document.querySelector('#lost').textContent === '0'"),
             "each line is recorded once, through all of it",
             await p.js("document.querySelector('.ledger').textContent"))
        room = "document.querySelector('[data-id=kitchen]')"
        await p.js(f"{room}.querySelector('button').click()")
        t.ok(await p.until(f"{room}.textContent.includes('life 2') &&"
                           f" {room}.querySelector('em') !== null"), "a room that fails is started again",
             await p.js(f"{room}.textContent"))
        await say(p, "still here?")
        t.ok(await hears(q, "ann", "still here?"), "with its members")
        wide = await q.js("document.documentElement.scrollWidth")
        t.ok(wide <= 390, "nothing sticks out of a narrow window", wide)
        await picture(t, q, "vigilant-narrow.png")
        t.ok(not q.console, "no error in the narrow page's console", q.console)
    t.ok(await p.until("[...document.querySelectorAll('#lines .note')].some("
                       "e => e.textContent.startsWith('bob left'))"),
         "a tab that is closed has left the room")


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
        await p.js("document.querySelector('#load').click()")
        await house(t, p, s)
        await picture(t, p, "vigilant.png")
        await p.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": "dark"}])
        t.ok(await p.until("getComputedStyle(document.body).backgroundColor ==="
                           " 'rgb(16, 19, 23)'"), "at night it is dark")
        await picture(t, p, "vigilant-dark.png")
        t.ok(not p.console, "no error in the page's console", p.console)


t = Ktap()
if not chromium.program():
    t.ok(False, "Chromium is installed", "run scripts/setup packages tests")
    t.done()
with Server("vigilant-server") as server:
    asyncio.run(main(t, server))
    t.ok(server.stop() == 0, "SIGINT ends the server gracefully", server.out)
t.done()
