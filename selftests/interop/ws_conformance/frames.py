# SPDX-License-Identifier: GPL-2.0-only
"""RFC 6455, section 5: framing, masking, fragmentation, control frames."""
import random

from .peer import (BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, Peer, case,
                   frame, need)

NAMES = {TEXT: "text", BINARY: "binary", CONT: "continuation", CLOSE: "close", PING: "ping",
         PONG: "pong"}


def echoed(at, op, n, mask, pieces):
    rnd = random.Random(n)
    data = rnd.randbytes(n) if op == BINARY else bytes(32 + rnd.randrange(90)
                                                       for _ in range(n))
    with Peer(at) as p:
        raw = frame(FIN | op, data, mask)
        if pieces:
            p.in_pieces(raw, pieces)
        else:
            p.send(raw)
        need(p.message() == (op, data), "differs")


for op in (TEXT, BINARY):
    for n in (0, 1, 2, 124, 125, 126, 127, 128, 4095, 65535, 65536, 65537, 131072):
        for mask, pieces, how in ((b"\x5a\xc3\x11\xee", 0, "whole"),
                                  (b"\0\0\0\0", 997, "masked with 0, in pieces of 997"),
                                  (b"\xff\xff\xff\xff", 0, "masked with ff"),
                                  (b"\x01\x02\x03\x04", 1 if n < 500 else 4093, "in pieces")):
            case("5.2", f"{NAMES[op]} of {n} bytes, {how}", echoed, op, n, mask, pieces)
case("5.2", "binary of 16 MiB", echoed, BINARY, 16 << 20, b"\x12\x34\x56\x78", 0)


def every_length(at):
    with Peer(at) as p:
        for n in range(0, 300):
            p.echo(BINARY, bytes(n))


case("5.2", "each length from 0 to 299", every_length)


def every_alignment(at):
    """Masks and payloads at each offset of a read."""
    with Peer(at) as p:
        rnd = random.Random(5)
        for lead in range(17):
            data = rnd.randbytes(1000 + lead)
            p.send(frame(FIN | BINARY, bytes(lead), rnd.randbytes(4)) +
                   frame(FIN | BINARY, data, rnd.randbytes(4)))
            need(p.message() == (BINARY, bytes(lead)))
            need(p.message() == (BINARY, data))


case("5.3", "each alignment of mask and payload", every_alignment)


def in_order(at):
    with Peer(at) as p:
        p.send(b"".join(frame(FIN | TEXT, b"m%d" % i) for i in range(1000)))
        for i in range(1000):
            need(p.message() == (TEXT, b"m%d" % i), "message", i)


case("5.4", "1,000 messages in one go come back in order", in_order)


def broken(at, raw, codes=(1002,), pieces=0):
    with Peer(at) as p:
        if pieces:
            p.in_pieces(raw, pieces)
        else:
            p.send(raw)
        p.fails(*codes)


for op in (TEXT, BINARY, CONT, CLOSE, PING, PONG):
    for data in (b"", b"hello"):
        if op == CLOSE:
            data = data and b"\x03\xe8"
        case("5.1", f"unmasked {NAMES[op]} of {len(data)} bytes", broken,
             frame(FIN | op, data, None))
    for rsv in (RSV2, RSV3, RSV2 | RSV3, RSV1 | RSV2, RSV1 | RSV2 | RSV3):
        case("5.2", f"reserved bits {rsv:02x} in a {NAMES[op]} frame", broken,
             frame(FIN | rsv | op, b""))
    if op & 8:
        case("5.2", f"reserved bit 40 in a {NAMES[op]} frame", broken,
             frame(FIN | RSV1 | op, b""))
for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    for data in (b"", b"x" * 10, b"x" * 126):
        if op > 8 and len(data) > 125:
            continue
        case("5.2", f"reserved opcode {op:x}, {len(data)} bytes", broken, frame(FIN | op, data))
    case("5.2", f"reserved opcode {op:x} byte by byte", broken, frame(FIN | op, b"abc"), (1002,), 1)
for n, form in ((0, 16), (1, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)):
    case("5.2", f"a length of {n} in {form} bits", broken,
         frame(FIN | BINARY, bytes(n), form=form))
for raw, name in ((b"\x82\xff\x80" + bytes(7) + b"\1\2\3\4", "2^63"),
                  (b"\x82\xff" + b"\xff" * 8 + b"\1\2\3\4", "2^64-1")):
    case("5.2", f"a length of {name}", broken, raw)
case("5.2", "a length of 2^63-1", broken,
     b"\x82\xff\x7f" + b"\xff" * 7 + b"\1\2\3\4", (1009,))
for n in (126, 127, 1000, 65536):
    for op in (CLOSE, PING, PONG):
        case("5.5", f"{NAMES[op]} of {n} bytes", broken, frame(FIN | op, bytes(n)))
for op in (CLOSE, PING, PONG):
    case("5.5", f"a fragmented {NAMES[op]}", broken, frame(op, b""))
    case("5.5", f"a fragmented {NAMES[op]} and its rest", broken,
         frame(op, b"ab") + frame(FIN | CONT, b"c"))


def pinged(at, data, pieces=0):
    with Peer(at) as p:
        raw = frame(FIN | PING, data)
        if pieces:
            p.in_pieces(raw, pieces)
        else:
            p.send(raw)
        need(p.next() == (FIN | PONG, data), "no pong with the same bytes")
        p.echo(TEXT, b"still open")


for n in (0, 1, 2, 64, 124, 125):
    case("5.5.2", f"a ping of {n} bytes", pinged, bytes(range(n)))
    case("5.5.2", f"a ping of {n} bytes, byte by byte", pinged, bytes(range(n)), 1)


def many_pings(at):
    with Peer(at) as p:
        p.send(b"".join(frame(FIN | PING, b"%d" % i) for i in range(100)))
        for i in range(100):
            need(p.next() == (FIN | PONG, b"%d" % i), "pong", i)


case("5.5.3", "100 pings, 100 pongs in order", many_pings)


def unasked_pong(at, data):
    with Peer(at) as p:
        p.send(frame(FIN | PONG, data))
        p.send(frame(FIN | PING, b"x"))
        need(p.next() == (FIN | PONG, b"x"), "an answer to a pong")


for n in (0, 4, 125):
    case("5.5.3", f"a pong of {n} bytes that nobody asked for", unasked_pong, bytes(n))


def fragmented(at, parts, op=TEXT, between=b"", pieces=0):
    with Peer(at) as p:
        raw = b""
        for i, part in enumerate(parts):
            first = (op if i == 0 else CONT) | (FIN if i == len(parts) - 1 else 0)
            raw += frame(first, part) + (between if i < len(parts) - 1 else b"")
        if pieces:
            p.in_pieces(raw, pieces)
        else:
            p.send(raw)
        need(p.message() == (op, b"".join(parts)), "differs")
        p.echo(BINARY, b"next")


ping = frame(FIN | PING, b"p")
for name, parts in (
        ("two", [b"hel", b"lo"]), ("three", [b"a", b"b", b"c"]),
        ("an empty first", [b"", b"x"]), ("an empty last", [b"x", b""]),
        ("an empty middle", [b"x", b"", b"y"]), ("nothing but empty ones", [b"", b"", b""]),
        ("100 of a byte", [b"x"] * 100), ("5,000 of nothing and a byte", [b""] * 5000 + [b"x"]),
        ("of mixed sizes", [b"a" * n for n in (125, 126, 65535, 65536, 1)]),
        ("64 of 64 KiB", [bytes(65536)] * 64),
):
    case("5.4", f"fragments: {name}", fragmented, parts)
    case("5.4", f"fragments: {name}, binary", fragmented, parts, BINARY)
    if len(parts) <= 100 and len(parts[0]) < 1000:
        case("5.4", f"fragments: {name}, pings between", fragmented, parts, TEXT, ping)
        case("5.4", f"fragments: {name}, pongs between", fragmented, parts, BINARY,
             frame(FIN | PONG, b"u"))
        case("5.4", f"fragments: {name}, in pieces of 3", fragmented, parts, TEXT, ping,
             3 if sum(map(len, parts)) < 2000 else 1009)


def pong_before_the_end(at):
    with Peer(at) as p:
        p.send(frame(TEXT, b"half") + frame(FIN | PING, b"now"))
        need(p.next() == (FIN | PONG, b"now"), "the ping waits for the message")
        p.send(frame(FIN | CONT, b"done"))
        need(p.message() == (TEXT, b"halfdone"))


case("5.4", "a ping within a message is answered at once", pong_before_the_end)
for name, raw in (
        ("a continuation of nothing", frame(FIN | CONT, b"x")),
        ("an empty continuation of nothing", frame(FIN | CONT, b"")),
        ("a continuation of nothing that goes on", frame(CONT, b"x")),
        ("a continuation after a whole message",
         frame(FIN | TEXT, b"x") + frame(FIN | CONT, b"y")),
        ("a continuation after the last fragment",
         frame(TEXT, b"x") + frame(FIN | CONT, b"y") + frame(FIN | CONT, b"z")),
        ("a text within a message", frame(TEXT, b"x") + frame(FIN | TEXT, b"y")),
        ("a binary within a message", frame(TEXT, b"x") + frame(FIN | BINARY, b"y")),
        ("a second start", frame(BINARY, b"x") + frame(BINARY, b"y")),
        ("a text within a message after a ping",
         frame(TEXT, b"x") + ping + frame(FIN | TEXT, b"y")),
):
    case("5.4", name, broken, raw)
    case("5.4", f"{name}, byte by byte", broken, raw, (1002,), 1)


def limit(at, parts):
    with Peer(at) as p:
        for i, n in enumerate(parts):
            p.send(frame((BINARY if i == 0 else CONT) |
                         (FIN if i == len(parts) - 1 else 0), bytes(n)))
        p.fails(1009)


case("7.4.1", "one byte over the limit", limit, [(16 << 20) + 1])
case("7.4.1", "fragments over the limit", limit, [8 << 20, 8 << 20, 1])


def empty_fragments(at):
    with Peer(at) as p:
        p.send(frame(BINARY, b"a") + frame(CONT) * 100000 + frame(FIN | CONT, b"b"))
        need(p.message() == (BINARY, b"ab"))


case("5.4", "100000 empty fragments", empty_fragments)
