# SPDX-License-Identifier: GPL-2.0-only
"""RFC 7692: permessage-deflate."""
import json
import os
import random
import zlib

from .peer import (BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, TAIL, TEXT, Failed, Peer, case,
                   frame, need, request)

PMD = "permessage-deflate"


def parsed(answer):
    """{parameter: value or None} of the one extension that was accepted."""
    need("," not in answer, "more than one extension:", answer)
    name, *params = [p.strip() for p in answer.split(";")]
    need(name == PMD, "extension", name)
    got = {}
    for param in params:
        key, _, value = param.partition("=")
        need(key not in got, "twice:", key)
        got[key] = value.strip('"') if value else None
    return got


def opened(at, offer):
    p = Peer(at, [f"Sec-WebSocket-Extensions: {offer}"])
    answer = p.field("sec-websocket-extensions")
    need(answer is not None, "not agreed on:", offer)
    got = parsed(answer)
    p.deflate(int(got.get("client_max_window_bits") or 15),
              int(got.get("server_max_window_bits") or 15))
    p.agreed = got
    return p


def agreed(at, offer, may, must=()):
    """Only what was offered may be answered, and what was asked for must be."""
    with opened(at, offer) as p:
        for key, value in p.agreed.items():
            need(key in may, "not offered:", key)
            if key.endswith("bits"):
                need(value and value.isdigit() and 8 <= int(value) <= may[key],
                     key, value)
            else:
                need(value is None, key, "has a value")
        for key in must:
            need(key in p.agreed, "not answered:", key)
        p.echo(TEXT, b"plain")
        data = b'{"compressed": true}' * 30
        p.echo(TEXT, data, frame(FIN | RSV1 | TEXT, p.packed(data)))


SERVER = {"server_no_context_takeover": 0, "server_max_window_bits": 15}
ANY = dict(SERVER, client_no_context_takeover=0)
case("7.1", "an offer without parameters", agreed, PMD, ANY)
for n in range(9, 16):
    case("7.1.2.1", f"server_max_window_bits={n}", agreed, f"{PMD}; server_max_window_bits={n}",
         dict(ANY, server_max_window_bits=n), ["server_max_window_bits"])
for n in range(8, 16):
    case("7.1.2.2", f"client_max_window_bits={n}", agreed, f"{PMD}; client_max_window_bits={n}",
         dict(ANY, client_max_window_bits=n))
case("7.1.2.2", "client_max_window_bits", agreed, f"{PMD}; client_max_window_bits",
     dict(ANY, client_max_window_bits=15))
case("7.1.1.1", "server_no_context_takeover", agreed, f"{PMD}; server_no_context_takeover", ANY,
     ["server_no_context_takeover"])
case("7.1.1.2", "client_no_context_takeover", agreed, f"{PMD}; client_no_context_takeover", ANY)
case("7.1", "everything at once", agreed,
     f"{PMD}; client_max_window_bits=11; server_max_window_bits=12; "
     "client_no_context_takeover; server_no_context_takeover",
     dict(ANY, server_max_window_bits=12, client_max_window_bits=11),
     ["server_max_window_bits", "server_no_context_takeover"])
case("7.1", "a value in quotes", agreed, f'{PMD}; server_max_window_bits="10"',
     dict(ANY, server_max_window_bits=10), ["server_max_window_bits"])
case("5.1", "a second offer", agreed, f"{PMD}; unknown, {PMD}", ANY)
case("5.1", "an unknown extension before", agreed, f"x-foo; a=b, {PMD}", ANY)
case("5.1", "without blanks", agreed, f"{PMD};server_max_window_bits=9;client_max_window_bits",
     dict(ANY, server_max_window_bits=9, client_max_window_bits=15), ["server_max_window_bits"])


def declined(at, offer):
    with Peer(at, [f"Sec-WebSocket-Extensions: {offer}"]) as p:
        need(p.field("sec-websocket-extensions") is None, "agreed on",
             p.field("sec-websocket-extensions"))
        p.echo(TEXT, b"plain")
        p.send(frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"))
        p.fails(1002)


for param in ("unknown", "unknown=1", "server_max_window_bits", "server_max_window_bits=7",
              "server_max_window_bits=16", "server_max_window_bits=0",
              "server_max_window_bits=010", "server_max_window_bits=-1",
              "server_max_window_bits=a", "client_max_window_bits=7",
              "client_max_window_bits=16", "client_max_window_bits=08",
              "client_max_window_bits=x", "server_no_context_takeover=1",
              "client_no_context_takeover=true",
              "server_no_context_takeover; server_no_context_takeover",
              "client_max_window_bits; client_max_window_bits=10",
              "server_max_window_bits=10; server_max_window_bits=10"):
    case("7.1", f"an offer to decline: {param}", declined, f"{PMD}; {param}")
case("5.1", "another extension only", declined, "x-webkit-deflate-frame")


def eight_bits(at):
    """A window of 8 bits: 8 or less is promised and kept, or it is declined."""
    with Peer(at, [f"Sec-WebSocket-Extensions: {PMD}; server_max_window_bits=8"]) as p:
        answer = p.field("sec-websocket-extensions")
        if answer is None:
            return
        need(parsed(answer).get("server_max_window_bits") == "8", answer)
        p.deflate(15, 8)
        data = bytes(range(256)) * 20
        p.echo(BINARY, data, frame(FIN | RSV1 | BINARY, p.packed(data)))


case("7.1.2.1", "server_max_window_bits=8", eight_bits)


def malformed(at, value):
    with Peer(at, shake=False) as p:
        p.send(request([f"Sec-WebSocket-Extensions: {value}"]))
        need(p.head() == 400 or p.field("sec-websocket-extensions") is None, p.status)


for value in (";", f"{PMD};", f"{PMD}; =1", f"{PMD}; a=\"", f"{PMD} x", "@"):
    case("RFC 6455, 9.1", f"no list of extensions: {value}", malformed, value)


def unasked(at):
    with Peer(at) as p:
        need(p.field("sec-websocket-extensions") is None, "nobody offered it")
        p.send(frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"))
        p.fails(1002)


case("5.1", "nothing offered, nothing agreed on", unasked)


def echoes(at, offer, messages, op=TEXT):
    with opened(at, offer) as p:
        forgets = "client_no_context_takeover" in p.agreed
        server_forgets = "server_no_context_takeover" in p.agreed
        bits = (int(p.agreed.get("client_max_window_bits") or 15),
                int(p.agreed.get("server_max_window_bits") or 15))
        for data in messages:
            if forgets:
                p.tx = zlib.compressobj(6, zlib.DEFLATED, -bits[0])
            if server_forgets:
                p.rx = zlib.decompressobj(-bits[1])
            p.echo(op, data, frame(FIN | RSV1 | op, p.packed(data)))


def sizes(op):
    rnd = random.Random(7)
    text = json.dumps([{"id": i, "name": f"n{i % 17}"} for i in range(5000)]).encode()
    for n in (0, 1, 2, 10, 125, 126, 127, 1000, 4096, 32768, 65535, 65536, 100000):
        yield text[:n] if op == TEXT else rnd.randbytes(n)
    yield b""
    yield text[:500]
    yield text[:500]


for name, offer in (
        ("as it is", PMD),
        ("both forget", f"{PMD}; client_no_context_takeover; server_no_context_takeover"),
        ("the server forgets", f"{PMD}; server_no_context_takeover"),
        ("the client forgets", f"{PMD}; client_no_context_takeover"),
        ("windows of 9", f"{PMD}; server_max_window_bits=9; client_max_window_bits=9"),
        ("windows of 12", f"{PMD}; server_max_window_bits=12; client_max_window_bits=12"),
        ("small ones that are forgotten",
         f"{PMD}; server_max_window_bits=9; client_max_window_bits=9; "
         "client_no_context_takeover; server_no_context_takeover"),
):
    case("7.2", f"text of all sizes: {name}", echoes, offer, list(sizes(TEXT)))
    case("7.2", f"noise of all sizes: {name}", echoes, offer, list(sizes(BINARY)), BINARY)
    case("7.2", f"1,000 small messages: {name}", echoes, offer,
         [b'{"n":%d,"text":"hello hello hello hello hello hello hello hello"}' % i
          for i in range(1000)])
case("7.2", "8 MiB of zeros", echoes, PMD, [bytes(8 << 20)], BINARY)


def hello(at, raw):
    with opened(at, PMD) as p:
        p.send(raw)
        need(p.message() == (TEXT, b"Hello"), "not Hello")
        p.echo(BINARY, b"next")


H = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
for name, raw in (
        ("one block", frame(FIN | RSV1 | TEXT, H)),
        ("two fragments", frame(RSV1 | TEXT, H[:3]) + frame(FIN | CONT, H[3:])),
        ("a byte a fragment", b"".join(
            frame((RSV1 | TEXT if i == 0 else CONT) | (FIN if i == len(H) - 1 else 0),
                  H[i:i + 1]) for i in range(len(H)))),
        ("empty fragments", frame(RSV1 | TEXT, b"") + frame(CONT, H) + frame(FIN | CONT, b"")),
        ("a ping between", frame(RSV1 | TEXT, H[:3]) + frame(FIN | PONG, b"x") +
         frame(FIN | CONT, H[3:])),
        ("a block that is not compressed",
         frame(FIN | RSV1 | TEXT, b"\x00\x05\x00\xfa\xffHello\x00")),
        ("a block that ends the stream",
         frame(FIN | RSV1 | TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")),
        ("two blocks", frame(FIN | RSV1 | TEXT,
                             b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")),
        ("an empty block before", frame(FIN | RSV1 | TEXT, b"\x00" + TAIL + H)),
        ("dynamic codes", frame(FIN | RSV1 | TEXT, (
            lambda c: c.compress(b"Hello") + c.flush(zlib.Z_SYNC_FLUSH))(
                zlib.compressobj(9, zlib.DEFLATED, -15))[:-4])),
        ("huffman only", frame(FIN | RSV1 | TEXT, (
            lambda c: c.compress(b"Hello") + c.flush(zlib.Z_SYNC_FLUSH))(
                zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_HUFFMAN_ONLY))[:-4])),
        ("level 0", frame(FIN | RSV1 | TEXT, (
            lambda c: c.compress(b"Hello") + c.flush(zlib.Z_SYNC_FLUSH))(
                zlib.compressobj(0, zlib.DEFLATED, -15))[:-4])),
):
    case("7.2.3", f"Hello in {name}", hello, raw)


def window_lasts(at):
    with opened(at, PMD) as p:
        p.send(frame(FIN | RSV1 | TEXT, H))
        p.send(frame(FIN | TEXT, b"between"))
        p.send(frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"))
        for want in (b"Hello", b"between", b"Hello"):
            need(p.message() == (TEXT, want), want)


def window_lasts_over_an_end(at):
    with opened(at, PMD) as p:
        p.send(frame(FIN | RSV1 | TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))
        p.send(frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"))
        for _ in range(2):
            need(p.message() == (TEXT, b"Hello"))


def window_is_forgotten(at):
    with opened(at, f"{PMD}; client_no_context_takeover") as p:
        if "client_no_context_takeover" not in p.agreed:
            return
        p.send(frame(FIN | RSV1 | TEXT, H))
        need(p.message() == (TEXT, b"Hello"))
        p.send(frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"))
        p.fails(1007, 1002)


def keeps_to_the_window(at, bits):
    """What the server sends can be inflated with the window it was given."""
    rnd = random.Random(bits)
    block = rnd.randbytes(3000)
    with opened(at, f"{PMD}; server_max_window_bits={bits}") as p:
        for _ in range(20):
            data = block + rnd.randbytes(1 << bits) + block
            p.echo(BINARY, data, frame(FIN | RSV1 | BINARY, p.packed(data)))


def an_empty_one(at, body):
    with opened(at, PMD) as p:
        p.send(frame(FIN | RSV1 | TEXT, body))
        try:
            need(p.message() == (TEXT, b""), "not empty")
        except Failed:
            if body:
                raise
            return    # no byte at all is no stream: it may be refused
        p.send(frame(FIN | RSV1 | TEXT, H))
        need(p.message() == (TEXT, b"Hello"))


case("7.2.3.2", "the window lasts", window_lasts)
case("7.2.3.4", "the window lasts over the end of a stream", window_lasts_over_an_end)
case("7.1.1.2", "a window that is forgotten", window_is_forgotten)
for n in (9, 10, 15):
    case("7.1.2.1", f"the server keeps to a window of {n} bits", keeps_to_the_window, n)
case("7.2.3.6", "an empty message", an_empty_one, b"\0")
case("7.2.3.6", "an empty message of no byte", an_empty_one, b"")
case("7.2.3.6", "an empty message of three blocks", an_empty_one, (b"\0" + TAIL) * 2 + b"\0")


def broken(at, raw, *codes):
    with opened(at, PMD) as p:
        p.send(raw)
        p.fails(*codes)


for op, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
    case("6.1", f"a compressed {name}", broken, frame(FIN | RSV1 | op, b""), 1002)
for name, raw, codes in (
        ("the bit in a continuation", frame(RSV1 | TEXT, H[:3]) +
         frame(FIN | RSV1 | CONT, H[3:]), (1002,)),
        ("the bit in a continuation only", frame(TEXT, b"x") + frame(FIN | RSV1 | CONT, H),
         (1002,)),
        ("a block of type 3", frame(FIN | RSV1 | TEXT, b"\xff\xff"), (1007, 1002)),
        ("an end within a block", frame(FIN | RSV1 | TEXT, H[:3]), (1007, 1002)),
        ("a stored block with a wrong length",
         frame(FIN | RSV1 | TEXT, b"\x00\x05\x00\xfa\xfeHello\x00"), (1007, 1002)),
        ("a distance beyond the window", frame(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"),
         (1007, 1002)),
        ("plain text that says it is compressed", frame(FIN | RSV1 | TEXT, b"Hello, world"),
         (1007, 1002)),
        ("broken in the first fragment", frame(RSV1 | TEXT, b"\xff\xff"), (1007, 1002)),
):
    case("7.2.2", name, broken, raw, *codes)


def not_text(at, data, whole):
    with opened(at, PMD) as p:
        packed = p.packed(data)
        p.send(frame((FIN if whole else 0) | RSV1 | TEXT, packed if whole else packed + TAIL))
        p.fails(1007)


for name, data in (("a continuation byte", b"ab\x80"), ("a surrogate", b"\xed\xa0\x80"),
                   ("C0", b"\xc0\x80" * 100), ("behind 5,000 bytes", b"x" * 5000 + b"\xff")):
    case("RFC 6455, 8.1", f"inflates to what is not UTF-8: {name}", not_text, data, True)
    case("RFC 6455, 8.1", f"inflates to what is not UTF-8: {name}, before the end", not_text,
         data, False)
case("RFC 6455, 8.1", "inflates to half a character", not_text, b"x\xe2\x82", True)


def bomb(at, fragments):
    with opened(at, PMD) as p:
        data = p.packed(bytes((16 << 20) + 1))
        step = len(data) // fragments + 1
        for i in range(0, len(data), step):
            p.send(frame((RSV1 | BINARY if i == 0 else CONT) |
                         (FIN if i + step >= len(data) else 0), data[i:i + step]))
        p.fails(1009)


for n in (1, 10):
    case("8", f"a bomb in {n} fragments", bomb, n)


def empty_blocks(at):
    with opened(at, PMD) as p:
        p.send(frame(RSV1 | BINARY, b""))
        blocks = (b"\0" + TAIL) * 13000
        for _ in range(400):
            p.send(frame(CONT, blocks))
        p.fails(1009)


case("8", "blocks of nothing without end", empty_blocks)


def many_connections(at):
    peers = [opened(at, PMD) for _ in range(20)]
    try:
        for i in range(50):
            for k, p in enumerate(peers):
                data = b'{"peer":%d,"round":%d,"pad":"%s"}' % (k, i, b"x" * 100)
                p.send(frame(FIN | RSV1 | TEXT, p.packed(data)))
            for k, p in enumerate(peers):
                need(p.message()[1].startswith(b'{"peer":%d,"round":%d' % (k, i)), k, i)
    finally:
        for p in peers:
            p.s.close()


case("7.2", "20 connections at once, each with its own window", many_connections)


def some_packed(at):
    """A sender may choose for each message."""
    with opened(at, PMD) as p:
        for i in range(100):
            data = b"message %d " % i * 20
            if i % 3:
                p.echo(TEXT, data)
            else:
                p.echo(TEXT, data, frame(FIN | RSV1 | TEXT, p.packed(data)))


case("6", "compressed and plain messages in turn", some_packed)


def in_two_fields(at, first, second, good):
    """Fields of one name are one list (RFC 9110, 5.3)."""
    with Peer(at, [f"Sec-WebSocket-Extensions: {first}",
                   f"Sec-WebSocket-Extensions: {second}"]) as p:
        answer = p.field("sec-websocket-extensions")
        need((answer is not None) == good, "answer", answer)
        if good:
            parsed(answer)
            p.deflate()
            data = b"over and over and over and over and over again" * 5
            p.echo(TEXT, data, frame(FIN | RSV1 | TEXT, p.packed(data)))
        p.echo(TEXT, b"plain")


case("5.1", "the offer in the second of two fields", in_two_fields, "x-foo", PMD, True)
case("5.1", "an offer in each of two fields", in_two_fields, PMD, PMD, True)
case("5.1", "offers in two fields, the first to decline", in_two_fields, f"{PMD}; x=1", PMD, True)
case("5.1", "two fields, nothing to take", in_two_fields, "x-foo", f"{PMD}; x=1", False)
case("5.1", "the name in other letters", agreed, "PerMessage-Deflate", ANY)
case("5.1", "parameters in other letters", agreed, f"{PMD}; Server_Max_Window_Bits=10",
     dict(ANY, server_max_window_bits=10), ["server_max_window_bits"])
case("5.1", "blanks everywhere", agreed, f"  {PMD} ;\tserver_max_window_bits = 10 ; "
     "client_max_window_bits\t", dict(ANY, server_max_window_bits=10,
                                      client_max_window_bits=15), ["server_max_window_bits"])
case("5.1", "empty elements", agreed, f", ,{PMD},,", ANY)
case("7.1", "quoted values of both", agreed,
     f'{PMD}; server_max_window_bits="9"; client_max_window_bits="9"',
     dict(ANY, server_max_window_bits=9, client_max_window_bits=9), ["server_max_window_bits"])
case("7.1", "the best of three", agreed,
     f"{PMD}; server_max_window_bits=8; foo, {PMD}; server_max_window_bits=99, "
     f"{PMD}; server_max_window_bits=11",
     dict(ANY, server_max_window_bits=11), ["server_max_window_bits"])
case("RFC 6455, 9.1", "escapes within quotes", agreed,
     PMD + r'; server_max_window_bits="1\0"; client_max_window_bits="\9"',
     dict(ANY, server_max_window_bits=10, client_max_window_bits=9), ["server_max_window_bits"])
for value in (PMD + r'; a="x\"', PMD + r'; a="x\"; b="y"', PMD + '; a="x\\', PMD + r'; a=x\y'):
    case("RFC 6455, 9.1", f"escapes that are none: {value}", malformed, value)
for param in ('server_max_window_bits="16"', 'server_max_window_bits=""',
              "server_max_window_bits=10; x", "client_no_context_takeover=\"\"",
              "client_no_context_takeover; client_no_context_takeover"):
    case("7.1", f"an offer to decline or refuse: {param}", malformed, f"{PMD}; {param}")


def control_between_fragments(at):
    """A ping between the pieces of a compressed message, at every place."""
    with opened(at, PMD) as p:
        for i in range(1, 30):
            data = b"piece by piece, piece by piece %d" % i
            packed = p.packed(data)
            at_byte = i % len(packed)
            p.send(frame(RSV1 | TEXT, packed[:at_byte]))
            p.send(frame(FIN | PING, b"%d" % i))
            first, body = p.next()
            need((first, body) == (FIN | PONG, b"%d" % i), "no pong at once")
            p.send(frame(FIN | CONT, packed[at_byte:]))
            need(p.message() == (TEXT, data), "message", i)


def close_between_fragments(at):
    with opened(at, PMD) as p:
        p.send(frame(RSV1 | TEXT, p.packed(b"never to end")))
        p.send(frame(FIN | CLOSE, b"\x03\xe8"))
        p.fails(1000)


def in_pieces(at, step):
    with opened(at, PMD) as p:
        for i in range(20):
            data = b"%d: " % i + b"the same again and again " * 40
            p.in_pieces(frame(FIN | RSV1 | TEXT, p.packed(data)), step)
            need(p.message() == (TEXT, data), "message", i)


case("6.2", "pings between compressed fragments", control_between_fragments)
case("6.2", "a close between compressed fragments", close_between_fragments)
for n in (1, 5, 17):
    case("6.2", f"compressed messages in pieces of {n} bytes", in_pieces, n)
case("7.2.3.6", "an empty message between two", echoes, PMD, [b"one" * 50, b"", b"one" * 50])
case("7.2.3.6", "100 empty messages", echoes, PMD, [b""] * 100)


def compressor(at, level, strategy):
    """Whatever makes the blocks: stored, fixed or dynamic ones, runs, or no matches."""
    with opened(at, PMD) as p:
        p.tx = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
        for n in (1, 100, 70000):
            data = (b"The quick brown fox jumps %d times over the lazy dog. " % n * n)[:n]
            p.echo(TEXT, data, frame(FIN | RSV1 | TEXT, p.packed(data)))


for level in (0, 1, 4, 6, 9):
    for strategy in range(5):
        case("7.2.3.5", f"a compressor of level {level}, strategy {strategy}", compressor,
             level, strategy)


def many_last_blocks(at):
    """Blocks with BFINAL within a message; the window lasts over all of them."""
    with opened(at, PMD) as p:
        raw, data = b"", b""
        for i in range(20):
            part = b"the last of all blocks, number %d; " % i * 20
            tx = zlib.compressobj(9, zlib.DEFLATED, -15)
            raw += tx.compress(part) + tx.flush()
            data += part
        p.echo(TEXT, data, frame(FIN | RSV1 | TEXT, raw + b"\0"))
        p.deflate()
        p.echo(TEXT, b"and on" * 50, frame(FIN | RSV1 | TEXT, p.packed(b"and on" * 50)))


case("7.2.3.4", "20 last blocks in a message", many_last_blocks)


def told_early(at, raw):
    with opened(at, PMD) as p:
        p.send(raw(p))
        p.fails(1007)


case("6.2", "text that is none, before its last fragment", told_early,
     lambda p: frame(RSV1 | TEXT, p.packed(b"x" * 10 + b"\xff" + os.urandom(2000))[:1500]))
case("7.2.2", "a distance beyond the beginning", told_early,
     lambda p: frame(FIN | RSV1 | TEXT, b"\x4b\x04\x12\x00"))
case("7.2.2", "a stream that is cut", told_early,
     lambda p: frame(FIN | RSV1 | TEXT, p.packed(b"abc" * 100)[:-4]))
