# SPDX-License-Identifier: GPL-2.0-only
"""Starts a program of build/bin that serves, and ends it again."""
import os
import re
import select
import signal
import subprocess
import time

from ktap import ROOT


class Server:
    """with Server("vigilant-server", "--threads", "2") as s: ... s.port"""

    def __init__(self, name, *args, env=None, start_s=30):
        self.argv = [os.path.join(ROOT, "build/bin", name), "--listen", "127.0.0.1:0", *args]
        self.env = dict(os.environ, **(env or {}))
        self.start_s = start_s
        self.out = ""
        self.port = None
        self.proc = None

    def __enter__(self):
        self.proc = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        end = time.monotonic() + self.start_s
        while self.port is None:
            left = end - time.monotonic()
            ready = left > 0 and select.select([self.proc.stdout], [], [], left)[0]
            data = os.read(self.proc.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.__exit__()
                raise RuntimeError(f"{self.argv[0]} did not start: {self.out}")
            self.out += data.decode(errors="replace")
            m = re.search(r"127\.0\.0\.1:(\d+)", self.out)
            if m:
                self.port = int(m.group(1))
        return self

    def stop(self, sig=signal.SIGINT, timeout=30):
        """Sends a signal and waits; returns the exit status, None if it hangs."""
        self.proc.send_signal(sig)
        try:
            rest, _ = self.proc.communicate(timeout=timeout)
            self.out += rest.decode(errors="replace")
            return self.proc.returncode
        except subprocess.TimeoutExpired:
            return None

    def __exit__(self, *exc):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.communicate()
