# SPDX-License-Identifier: GPL-2.0-only
"""Headless Chromium through its DevTools protocol, with python3-websockets."""
import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

import websockets

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"]


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """async with Page(url) as p: await p.js("document.title"); await p.shot("x.png")"""

    def __init__(self, url, width=1180, height=900):
        self.url, self.size = url, (width, height)
        self.dir = tempfile.mkdtemp(prefix="pulse-chromium.")
        self.seq = 0
        self.console = []

    async def __aenter__(self):
        w, h = self.size
        self.proc = subprocess.Popen(
            [program(), *FLAGS, f"--window-size={w},{h}", f"--user-data-dir={self.dir}", self.url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = os.path.join(self.dir, "DevToolsActivePort")
        end = time.monotonic() + 60
        target = None
        while target is None:
            if time.monotonic() > end or self.proc.poll() is not None:
                await self.__aexit__()
                raise RuntimeError("Chromium did not start")
            await asyncio.sleep(0.2)
            try:
                with open(port_file, encoding="ascii") as f:
                    port = int(f.readline())
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as r:
                    pages = [x for x in json.load(r) if x["type"] == "page"]
                target = pages[0]["webSocketDebuggerUrl"] if pages else None
            except (OSError, ValueError):
                continue
        self.ws = await websockets.connect(target, max_size=None, ping_interval=None)
        await self.call("Runtime.enable")
        await self.call("Page.enable")
        # The target is there before its document: until then a script finds an empty page.
        if not await self.loaded():
            await self.__aexit__()
            raise RuntimeError(f"{self.url} was not loaded")
        return self

    async def loaded(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if await self.js("document.readyState === 'complete' &&"
                                 f" location.href === {json.dumps(self.url)}"):
                    return True
            except RuntimeError:    # its context went with the document before
                pass
            await asyncio.sleep(0.05)
        return False

    async def call(self, method, **params):
        self.seq += 1
        await self.ws.send(json.dumps({"id": self.seq, "method": method, "params": params}))
        while True:
            m = json.loads(await asyncio.wait_for(self.ws.recv(), 60))
            if m.get("id") == self.seq:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']}")
                return m["result"]
            if m.get("method") == "Runtime.exceptionThrown":
                self.console.append(m["params"]["exceptionDetails"].get("text", "exception"))

    async def js(self, expression):
        r = await self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                            awaitPromise=True)
        if "exceptionDetails" in r:
            e = r["exceptionDetails"]
            raise RuntimeError(e.get("exception", {}).get("description", e.get("text")))
        return r["result"].get("value")

    async def until(self, expression, seconds=30):
        """Waits until the expression is true; returns whether it became so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if await self.js(expression):
                return True
            await asyncio.sleep(0.2)
        return False

    async def shot(self, path):
        r = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as f:
            f.write(base64.b64decode(r["data"]))

    async def __aexit__(self, *exc):
        if getattr(self, "ws", None):
            await self.ws.close()
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
