#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""An echo server that does one thing of its own, named by its argument.

Prints the port it listens on and serves one connection after another until it
is killed: what test_wsbench.sh needs to see pulse-wsbench find fault.
"""
import socket
import struct
import sys

WAY = sys.argv[1]
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
if WAY == "bad-accept":
    ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="


def frame(first, data):
    n = len(data)
    if n < 126:
        return bytes([first, n]) + data
    if n < 65536:
        return bytes([first, 126]) + struct.pack(">H", n) + data
    return bytes([first, 127]) + struct.pack(">Q", n) + data


def answer(n, first, data):
    """The bytes for the n-th message."""
    if WAY == "flip" and n == 3 and data:
        data = data[:-1] + bytes([data[-1] ^ 1])
    if WAY == "drop" and n == 3:
        return b""
    if WAY == "twice" and n == 3:
        return frame(first, data) * 2
    if WAY == "short" and n == 3:
        data = data[:-1]
    if WAY == "text" and n == 3:
        first = 0x81
    if WAY == "masked" and n == 3:
        return bytes([first, 0x80 | len(data), 0, 0, 0, 0]) + data
    if WAY == "rsv" and n == 3:
        first |= 0x20
    if WAY == "close" and n == 3:
        return frame(0x88, b"\x03\xe8")
    if WAY == "fragments":
        half = len(data) // 2
        return (frame(first & 0x7f, data[:half]) + frame(0x89, b"still there?") +
                frame(0, b"") + frame(0x80, data[half:]))
    return frame(first, data)


def serve(sock):
    f = sock.makefile("rb")
    while f.readline() not in (b"\r\n", b""):
        pass
    if WAY == "refuse":
        sock.sendall(b"HTTP/1.1 503 Not today\r\n\r\n")
        return
    sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT +
                  "\r\n\r\n").encode())
    n = pongs = 0
    while True:
        head = f.read(2)
        if len(head) < 2:
            return
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", f.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", f.read(8))[0]
        key = f.read(4)
        data = bytes(b ^ key[i & 3] for i, b in enumerate(f.read(size)))
        op = head[0] & 15
        if op == 8:
            return
        if op == 10:
            pongs += data == b"still there?"
            print("pongs", pongs, flush=True)
            continue
        out = answer(n, head[0], data)
        n += 1
        if WAY == "bytewise":
            for b in out:
                sock.sendall(bytes([b]))
        elif out:
            sock.sendall(out)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        serve(peer)
    except OSError:
        pass
    peer.close()
