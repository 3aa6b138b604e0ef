#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Chromium as the peer of build/bin/ws-echo: its own WebSocket, with compression."""
import asyncio
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
try:
    import chromium
except ImportError:
    print("1..0 # SKIP no python3-websockets, through which Chromium is asked")
    sys.exit(77)
from ktap import Ktap  # noqa: E402
from server import Server  # noqa: E402

SCRIPT = """
(async () => {
  const ws = new WebSocket("%s");
  ws.binaryType = "arraybuffer";
  const next = () => new Promise((done, fail) => {
    ws.onmessage = (e) => done(e.data);
    ws.onclose = (e) => fail("closed with " + e.code);
  });
  await new Promise((done, fail) => { ws.onopen = done; ws.onerror = fail; });
  const out = { ext: ws.extensions, wrong: [] };
  for (const size of [0, 1, 125, 126, 65535, 65536, 300000, 1 << 20]) {
    const text = "aé€😀".repeat(size / 4 + 1).slice(0, size).replace(/[\\ud800-\\udbff]$/, "");
    ws.send(text);
    if (await next() !== text)
      out.wrong.push("text " + size);
    const bytes = new Uint8Array(size).map((_, i) => i * 7 + (i >> 8));
    ws.send(bytes);
    const back = new Uint8Array(await next());
    if (back.length !== size || back.some((b, i) => b !== bytes[i]))
      out.wrong.push("bytes " + size);
  }
  for (let i = 0; i < 500; i++)
    ws.send("message " + i);
  for (let i = 0; i < 500; i++)
    if (await next() !== "message " + i) {
      out.wrong.push("number " + i);
      break;
    }
  out.code = await new Promise((done) => {
    ws.onclose = (e) => done(e.wasClean ? e.code : -e.code);
    ws.close(3210, "enough");
  });
  return out;
})()
"""


async def main():
    if not chromium.program():
        print("1..0 # SKIP no Chromium; fix: apt install chromium")
        return 77
    t = Ktap()
    for args, deflates in ((["--deflate"], True), ([], False)):
        with Server("ws-echo", "--threads", "2", *args) as s:
            async with chromium.Page("about:blank") as page:
                out = await page.js(SCRIPT % f"ws://127.0.0.1:{s.port}/chat?x=1")
        name = "with compression" if deflates else "without"
        t.ok(not out["wrong"], f"Chromium, {name}: each echo is equal", out["wrong"])
        t.ok(("permessage-deflate" in out["ext"]) == deflates,
             f"Chromium, {name}: what was agreed on", out["ext"])
        t.ok(out["code"] == 3210, f"Chromium, {name}: the closing handshake", out["code"])
    t.done()
    return 0


sys.exit(asyncio.run(main()))
