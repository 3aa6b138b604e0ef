#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""RFC 6455 and 7692, section by section, against build/bin/ws-echo --deflate.

usage: test_ws_conformance.py [--url ws://HOST:PORT] [-v] [PATTERN]
Without --url the server is started here. PATTERN: a regular expression on
"section name"; only those cases run.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from ws_conformance import closing, deflate, frames, handshake, text  # noqa: E402,F401
from ws_conformance.peer import CASES, Failed, Peer, TEXT  # noqa: E402

TOP = os.path.join(HERE, "..", "..")
ECHO = os.environ.get("PULSE_WS_ECHO") or os.path.join(TOP, "build", "bin", "ws-echo")


def start():
    server = subprocess.Popen([ECHO, "--listen", "127.0.0.1:0", "--threads", "2", "--deflate"],
                              stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        print("#", line.strip())
        m = re.match(r"listening on (\S+):(\d+)", line)
        if m:
            return server, (m.group(1), int(m.group(2)))
    print(f"Bail out! {ECHO} does not start")
    sys.exit(1)


def run(at, one):
    _, _, fn, args = one
    try:
        fn(at, *args)
    except (Failed, OSError, ValueError) as e:
        return f"{type(e).__name__}: {e}"
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--url")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("pattern", nargs="?", default="")
    args = parser.parse_args()
    server = None
    print("KTAP version 1")
    if args.url:
        m = re.match(r"ws://([^/:]+):(\d+)", args.url)
        at = (m.group(1), int(m.group(2)))
    elif not os.path.exists(ECHO):
        print(f"Bail out! no {ECHO}; build it with make tools")
        return 1
    else:
        server, at = start()
    cases = [c for c in CASES if re.search(args.pattern, f"{c[0]} {c[1]}")]
    print(f"1..{len(cases) + (server is not None)}")
    bad = 0
    with ThreadPoolExecutor(4) as pool:
        for i, (one, why) in enumerate(zip(cases, pool.map(lambda c: run(at, c), cases))):
            if why:
                print("#", why[:300])
                bad += 1
            print(f"{'not ok' if why else 'ok'} {i + 1} - {one[0]}: {one[1]}".replace("#", "\\#"),
                  flush=True)
    if server:
        # After all that it serves, and ends in order.
        with Peer(at) as p:
            p.echo(TEXT, b"still there")
        server.send_signal(signal.SIGTERM)
        ok = server.wait(60) == 0
        bad += not ok
        print(f"{'ok' if ok else 'not ok'} {len(cases) + 1} - and it ends with 0 after all that")
    return 1 if bad else 0


sys.exit(main())
