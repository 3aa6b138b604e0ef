# SPDX-License-Identifier: GPL-2.0-only
"""RFC 6455, section 7: closing."""
import socket

from .peer import BINARY, CLOSE, CONT, FIN, PING, TEXT, Peer, case, frame, need


def closed(at, body, *codes):
    with Peer(at) as p:
        p.send(frame(FIN | CLOSE, body))
        p.fails(*codes)


def code(n, reason=b""):
    return n.to_bytes(2, "big") + reason


case("7.1.5", "a close without a code", closed, b"", None, 1000)
for n in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
          4000, 4999):
    case("7.4", f"a close with {n}", closed, code(n), n)
    case("7.4", f"a close with {n} and a reason", closed, code(n, "späße".encode()), n)
for n in (0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999,
          32768, 65535):
    case("7.4.2", f"a close with {n}, which must not be sent", closed, code(n), 1002)
case("5.5.1", "a close of one byte", closed, b"\x03", 1002)
case("5.5.1", "a reason of 123 bytes", closed, code(1000, b"r" * 123), 1000)
case("5.5.1", "a reason of 124 bytes", closed, code(1000, b"r" * 124), 1002)
for name, reason in (("a continuation byte", b"\x80"), ("a surrogate", b"\xed\xa0\x80"),
                     ("half a character", b"x\xe2\x82"), ("C0", b"\xc0\x80"),
                     ("beyond the end", b"\xf4\x90\x80\x80")):
    case("5.5.1", f"a reason that is not UTF-8: {name}", closed, code(1000, reason), 1007)


def after_close(at, more):
    """What follows a close is nobody's business; one close comes back."""
    with Peer(at) as p:
        p.send(frame(FIN | CLOSE, code(1000)) + more)
        p.fails(1000)


case("5.5.1", "a text behind a close", after_close, frame(FIN | TEXT, b"late"))
case("5.5.1", "a ping behind a close", after_close, frame(FIN | PING, b"late"))
case("5.5.1", "a second close", after_close, frame(FIN | CLOSE, code(1001)))
case("5.5.1", "rubbish behind a close", after_close, b"\xff" * 100)
case("5.5.1", "1 MiB behind a close", after_close, frame(FIN | BINARY, bytes(1 << 20)))


def before_close(at):
    with Peer(at) as p:
        p.send(b"".join(frame(FIN | TEXT, b"m%d" % i) for i in range(100)) +
               frame(FIN | CLOSE, code(1000)))
        for i in range(100):
            need(p.message() == (TEXT, b"m%d" % i), "message", i)
        p.fails(1000)


def within_a_message(at):
    with Peer(at) as p:
        p.send(frame(TEXT, b"half") + frame(FIN | CLOSE, code(1000)) +
               frame(FIN | CONT, b"rest"))
        p.fails(1000)


def byte_by_byte(at):
    with Peer(at) as p:
        p.in_pieces(frame(FIN | CLOSE, code(1000, b"slowly")), 1)
        p.fails(1000)


def half_closed(at):
    """The peer ends its side right behind its last message."""
    with Peer(at) as p:
        p.send(frame(FIN | TEXT, b"last") + frame(FIN | CLOSE, code(1000)))
        p.s.shutdown(socket.SHUT_WR)
        need(p.message() == (TEXT, b"last"))
        p.fails(1000)


def gone(at):
    """No close at all, in any state: the next one is served."""
    for raw in (b"", b"\x81", b"\x81\x85\1\2", frame(TEXT, b"half"), frame(FIN | TEXT, b"x")):
        with Peer(at) as p:
            p.send(raw)
        with Peer(at) as p:
            p.echo(TEXT, b"next")


def server_ends_first(at):
    """It is the server that ends the connection."""
    with Peer(at) as p:
        p.send(frame(FIN | CLOSE, code(1000)))
        need(p.close_code() == 1000)
        p.ended()


case("7.1.2", "messages before a close are answered", before_close)
case("7.1.2", "a close within a fragmented message", within_a_message)
case("7.1.2", "a close that comes byte by byte", byte_by_byte)
case("7.1.3", "a peer that ends its side at once", half_closed)
case("7.1.7", "peers that vanish", gone)
case("7.1.1", "the server ends the connection first", server_ends_first)


def large_before_close(at):
    """Echoes that wait in the server's buffers come before its close."""
    data = bytes(range(256)) * 2000
    with Peer(at) as p:
        p.send(frame(FIN | BINARY, data) * 4 + frame(FIN | CLOSE, code(4000)))
        for i in range(4):
            need(p.message() == (BINARY, data), "message", i)
        p.fails(4000)


case("5.5.1", "large echoes before a close", large_before_close)
