#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""WebSocket over TLS: python3-websockets and curl as peers of build/bin/ws-echo,
and certificates that they must not believe."""
import asyncio
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ktap import Ktap, ROOT, scale

try:
    import websockets
except ImportError:
    print("1..0 # SKIP python3-websockets is not installed")
    sys.exit(77)
ECHO = os.path.join(ROOT, "build/bin/ws-echo")
if not os.path.exists(os.path.join(ROOT, "build/lib/pulse-u/transport-tls.so")):
    print("1..0 # SKIP the TLS plug-in was not built (libssl-dev)")
    sys.exit(77)
if not shutil.which("openssl"):
    print("1..0 # SKIP there is no openssl command")
    sys.exit(77)

t = Ktap()
CONNECTIONS = 4
MESSAGES = scale(500)


def certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def start(cert, key):
    server = subprocess.Popen([ECHO, "--listen", "127.0.0.1:0", "--threads", "2",
                               "--deflate", "--cert", cert, "--key", key],
                              stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        t.note(line.strip())
        m = re.match(r"listening on tls:127\.0\.0\.1:(\d+)", line)
        if m:
            return server, int(m.group(1))
    print("Bail out! ws-echo does not start")
    sys.exit(1)


async def talk(port, context, index):
    rnd = random.Random(index)
    wrong = 0
    async with websockets.connect(f"wss://localhost:{port}/", ssl=context, max_size=None,
                                  compression="deflate" if index % 2 else None) as ws:
        for n in range(MESSAGES):
            size = (0, 1, 125, 126, 16383, 16384, 16385, 65536, 1 << 20)[n] if n < 9 \
                else rnd.randrange(2000)
            message = rnd.randbytes(size)
            await ws.send(message)
            wrong += await ws.recv() != message
    return wrong, ws.close_code


async def refused(port, context):
    try:
        async with websockets.connect(f"wss://localhost:{port}/", ssl=context):
            return False
    except ssl.SSLCertVerificationError:
        return True


async def everyone(port, cert):
    context = ssl.create_default_context(cafile=cert)
    done = await asyncio.gather(*(talk(port, context, i) for i in range(CONNECTIONS)))
    t.ok(all(d == (0, 1000) for d in done), "each echo over TLS is equal", done)
    t.ok(await refused(port, ssl.create_default_context()),
         "a certificate of nobody's is not believed")


def curl(port, cert, *more):
    return subprocess.run(
        ["curl", "-sS", "-m", "20", "-i", "--http1.1", "--cacert", cert, *more,
         f"https://localhost:{port}/"], capture_output=True, text=True, check=False)


with tempfile.TemporaryDirectory() as folder:
    files = certificate(folder)
    proc, where = start(*files)
    try:
        asyncio.run(everyone(where, files[0]))
        if shutil.which("curl"):
            got = curl(where, files[0])
            t.ok("426" in got.stdout.split("\n")[0], "curl is told to upgrade, over TLS",
                 got.stdout + got.stderr)
            got = curl(where, files[0], "--tlsv1.2", "--tls-max", "1.2")
            t.ok("426" in got.stdout.split("\n")[0], "and over TLS 1.2",
                 got.stdout + got.stderr)
        proc.send_signal(signal.SIGTERM)
        t.ok(proc.wait(30) == 0, "SIGTERM ends it with 0")
    finally:
        if proc.poll() is None:
            proc.kill()
t.done()
