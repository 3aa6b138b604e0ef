#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The show-piece server in a VM, on the kernel backend, with a client outside.

Counts pulse:park, pulse:wake and pulse:sched_out with tracefs inside while it
serves: a histogram trigger on each event, read when the client is done.
"""
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import websockets
from ktap import Ktap, ROOT

KERNEL = os.environ.get("KERNEL", "6.12")
EVENTS = ("park", "wake", "sched_out", "sched_in")
GUEST = r"""
set -eu
T=/sys/kernel/tracing/events/pulse
for e in park wake sched_out sched_in; do echo 'hist:keys=common_cpu' > $T/$e/trigger; done
build/bin/vigilant-server --listen 0.0.0.0:8080 --backend kernel &
server=$!
while [ ! -e /out/stop ]; do kill -0 $server; sleep 0.3; done
for e in park wake sched_out sched_in; do
	awk -v e=$e '/hitcount/ { sub(/.*hitcount: */, ""); n += $1 } END { print e, n + 0 }' $T/$e/hist
	echo '!hist:keys=common_cpu' > $T/$e/trigger
done > /out/counts.new
mv /out/counts.new /out/counts
kill -INT $server
wait $server
echo "server ended with $?" > /out/end
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def figures(url):
    async with websockets.connect(url, open_timeout=30) as ws:
        return json.loads(await asyncio.wait_for(ws.recv(), 60))


async def crashed(url):
    """Has the server's process die; how it died, once it runs again."""
    async with websockets.connect(url, open_timeout=30) as ws:
        asked, end = False, time.monotonic() + 120
        while time.monotonic() < end:
            m = json.loads(await asyncio.wait_for(ws.recv(), 60))
            scribe = [c for c in m.get("children", ()) if c["id"] == "scribe"]
            if not scribe or scribe[0]["status"] != "running":
                continue
            if scribe[0]["life"] > 1:
                return scribe[0]["why"]
            if not asked:
                await ws.send("crash scribe segv")
                asked = True
    return "never"


def wait_for(cond, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cond():
            return True
        time.sleep(0.5)
    return False


def port_open(port, vm):
    """A listening forwarder is not enough: the guest must answer."""
    if vm.poll() is not None:
        return True
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(5)
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return s.recv(12).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


t = Ktap()
os.chdir(ROOT)
out = tempfile.mkdtemp(prefix="pulse-vm-out.")
script = os.path.join(out, "guest.sh")
with open(script, "w", encoding="ascii") as f:
    f.write(GUEST)
port = free_port()
vm = subprocess.Popen(["selftests/vm/run", "--kernel", KERNEL, "--nodes", "2", "--timeout", "600",
                       "--forward", f"{port}:8080", "--out", out, "--", "bash", "/out/guest.sh"],
                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                      text=True, errors="replace")
try:
    up = wait_for(lambda: port_open(port, vm), 180) and vm.poll() is None
    t.ok(up, f"the server answers from a VM with Linux {KERNEL}")
    if up:
        m = asyncio.run(figures(f"ws://127.0.0.1:{port}/feed"))
        t.ok(m["backend"] == "kernel", "it runs on the kernel backend", m["reason"])
        client = subprocess.run(
            ["/usr/bin/python3", "selftests/interop/test_websockets_echo.py"],
            env=dict(os.environ, PULSE_WS_URL=f"ws://127.0.0.1:{port}/echo",
                     PULSE_TEST_SCALE=os.environ.get("PULSE_TEST_SCALE", "100")),
            capture_output=True, text=True, timeout=500)
        for line in client.stdout.splitlines():
            t.note(line)
        t.ok(client.returncode == 0, "every message comes back equal", client.stderr[-2000:])
        n = asyncio.run(figures(f"ws://127.0.0.1:{port}/feed"))
        t.note(f"{n['messages']} messages")
        before, after = (sum(w["parks"] for w in x["workers"]) for x in (m, n))
        t.ok(after > before, "the page's figures moved meanwhile", (before, after))
        why = asyncio.run(crashed(f"ws://127.0.0.1:{port}/feed"))
        t.ok(why == "ended by SIGSEGV", "a process that crashes comes back with its reason", why)
    open(os.path.join(out, "stop"), "w", encoding="ascii").close()
    text, _ = vm.communicate(timeout=200)
    counts = {}
    if os.path.exists(os.path.join(out, "counts")):
        with open(os.path.join(out, "counts"), encoding="ascii") as f:
            counts = {k: int(v) for k, v in (line.split() for line in f)}
    for event in EVENTS:
        t.ok(counts.get(event, 0) > 0, f"pulse:{event} was counted while it served", counts)
    t.note(counts)
    end = os.path.join(out, "end")
    ended = open(end, encoding="ascii").read().strip() if os.path.exists(end) else ""
    t.ok(ended == "server ended with 0", "SIGINT ends it gracefully", ended)
    t.ok(vm.returncode == 0, "the kernel did not complain, the module unloads", text[-3000:])
finally:
    if vm.poll() is None:
        vm.terminate()
        vm.wait(30)
    shutil.rmtree(out, ignore_errors=True)
t.done()
