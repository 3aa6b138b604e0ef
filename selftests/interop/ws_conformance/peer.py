# SPDX-License-Identifier: GPL-2.0-only
"""A peer that can do everything right and everything wrong, and the cases."""
import base64
import hashlib
import os
import socket
import zlib

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TIMEOUT = 60
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TAIL = b"\x00\x00\xff\xff"

CASES = []


def case(section, name, fn, *args):
    """fn(open_peer, *args); an exception or a false result (not None) fails it."""
    CASES.append((section, name, fn, args))


class Failed(Exception):
    pass


def need(ok, *what):
    if not ok:
        raise Failed(" ".join(str(w) for w in what))


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def frame(first, data=b"", mask=b"\x5a\xc3\x11\xee", form=None):
    """A client's frame. form: 7, 16 or 64 bits of length; mask None: unmasked."""
    n = len(data)
    form = form or (7 if n < 126 else 16 if n < 65536 else 64)
    bit = 0x80 if mask is not None else 0
    if form == 7:
        head = bytes([first, bit | n])
    elif form == 16:
        head = bytes([first, bit | 126]) + n.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + n.to_bytes(8, "big")
    if mask is None:
        return head + data
    if n:
        whole = (mask * (n // 4 + 1))[:n]
        data = (int.from_bytes(data, "big") ^
                int.from_bytes(whole, "big")).to_bytes(n, "big")
    return head + mask + data


def request(extra=(), drop=(), path="/chat", line=None, key=KEY, end="\r\n"):
    fields = {
        "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
    }
    lines = [line or f"GET {path} HTTP/1.1"]
    lines += [f"{k}: {v}" for k, v in fields.items() if k not in drop]
    lines += list(extra)
    return (end.join(lines) + end + end).encode("latin-1")


class Peer:
    """One connection. Opened with a handshake unless told otherwise."""

    def __init__(self, address, extra=(), shake=True):
        self.s = socket.create_connection(address, TIMEOUT)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.status = None
        self.fields = []
        self.rx = self.tx = None
        if shake:
            self.send(request(extra))
            need(self.head() == 101, "no 101 but", self.status)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()

    def send(self, data):
        """A server that has closed need not read the rest."""
        try:
            self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def in_pieces(self, data, n):
        for at in range(0, len(data), n):
            self.send(data[at:at + n])

    def fill(self, n):
        while len(self.buf) < n:
            try:
                got = self.s.recv(1 << 18)
            except ConnectionResetError:
                got = b""
            if not got:
                raise Failed("the connection ended")
            self.buf += got

    def take(self, n):
        self.fill(n)
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def head(self):
        """The status; fields are (name, value) with small names."""
        while b"\r\n\r\n" not in self.buf:
            self.fill(len(self.buf) + 1)
        text, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = text.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ", 2)
        need(parts[0] == "HTTP/1.1" and len(parts) == 3, "status line", lines[0])
        self.status = int(parts[1])
        self.fields = [(k.lower(), v.strip()) for k, v in
                       (line.split(":", 1) for line in lines[1:])]
        return self.status

    def field(self, name):
        got = [v for k, v in self.fields if k == name]
        need(len(got) <= 1, "twice:", name)
        return got[0] if got else None

    def next(self):
        """(first byte, payload) of the next frame; what every frame must obey."""
        first, second = self.take(2)
        need(not second & 0x80, "a server's frame is masked")
        n = second & 0x7f
        if n == 126:
            n = int.from_bytes(self.take(2), "big")
            need(n > 125, "length not in its shortest form")
        elif n == 127:
            n = int.from_bytes(self.take(8), "big")
            need(n > 65535, "length not in its shortest form")
        need(not first & (RSV2 | RSV3), "reserved bits")
        need(first & 0xf in (TEXT, BINARY, CONT, CLOSE, PING, PONG), "opcode")
        if first & 8:
            need(first & FIN and n <= 125 and not first & RSV1, "control frame")
        return first, self.take(n)

    def message(self):
        """The next data message, whatever its frames; pings are skipped."""
        op, data, packed = None, b"", False
        while True:
            first, part = self.next()
            if first & 0xf in (PING, PONG):
                continue
            need(first & 0xf != CLOSE, "a close:", part)
            if op is None:
                op, packed = first & 0xf, bool(first & RSV1)
                need(op != CONT, "a continuation of nothing")
            else:
                need(first & 0xf == CONT and not first & RSV1, "not a continuation")
            data += part
            if first & FIN:
                break
        if packed:
            need(self.rx is not None, "compressed without an agreement")
            data = self.rx.decompress(data + TAIL)
        return op, data

    def echo(self, op, data, sent=None):
        self.send(sent if sent is not None else frame(FIN | op, data))
        got = self.message()
        need(got == (op, data), "echo differs:", got[0], len(got[1]), got[1][:40])

    def close_code(self):
        """Of the close frame that comes next, echoes skipped; None: it had none."""
        while True:
            first, data = self.next()
            if first & 0xf != CLOSE:
                continue
            need(len(data) != 1, "a close of one byte")
            data[2:].decode()
            return int.from_bytes(data[:2], "big") if data else None

    def ended(self):
        """The server ends its side, and says nothing more."""
        need(not self.buf, "more after the close")
        try:
            more = self.s.recv(1)
        except ConnectionResetError:
            more = b""
        need(not more, "more after the close")

    def fails(self, *codes):
        """It is closed with one of these, and then it is over."""
        code = self.close_code()
        need(code in codes, "closed with", code, "not", codes)
        self.ended()

    def deflate(self, tx=15, rx=15):
        # zlib has no window of 8 bits; without matches there is none at all.
        self.tx = zlib.compressobj(6, zlib.DEFLATED, -max(tx, 9), 8,
                                   zlib.Z_HUFFMAN_ONLY if tx < 9 else
                                   zlib.Z_DEFAULT_STRATEGY)
        self.rx = zlib.decompressobj(-rx)

    def packed(self, data):
        if not data:
            return b"\0"
        return (self.tx.compress(data) + self.tx.flush(zlib.Z_SYNC_FLUSH))[:-4]


def random_mask():
    return os.urandom(4)
