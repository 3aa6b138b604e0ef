# SPDX-License-Identifier: GPL-2.0-only
"""RFC 6455, section 4: the opening handshake; and the HTTP around it."""
import os
import base64

from .peer import FIN, TEXT, Peer, accept_of, case, frame, need, request


def opens(at, raw, key=None, pieces=None):
    with Peer(at, shake=False) as p:
        if pieces:
            p.in_pieces(raw, pieces)
        else:
            p.send(raw)
        need(p.head() == 101, "status", p.status)
        need((p.field("upgrade") or "").lower() == "websocket", "Upgrade")
        need("upgrade" in (p.field("connection") or "").lower(), "Connection")
        if key:
            need(p.field("sec-websocket-accept") == accept_of(key), "Accept")
        need(p.field("sec-websocket-protocol") is None, "a subprotocol")
        need(p.field("content-length") is None, "101 with a length")
        p.echo(TEXT, b"open")


def refused(at, raw, *status):
    with Peer(at, shake=False) as p:
        p.send(raw)
        need(p.head() in status, "status", p.status, "not", status)
        if p.status == 426:
            need(p.field("sec-websocket-version") == "13", "no version named")
            need((p.field("upgrade") or "").lower() == "websocket", "no Upgrade")


S = "4.2.1"
case(S, "the least a client must say", opens, request(), "dGhlIHNhbXBsZSBub25jZQ==")
for i in range(5):
    KEY = base64.b64encode(os.urandom(16)).decode()
    case("4.2.2", f"the accept value of a random key {i}", opens, request(key=KEY), KEY)
for name, extra, drop in (
        ("Upgrade in other letters", ["upgrade: WebSocket"], ["Upgrade"]),
        ("Upgrade in capitals", ["UPGRADE: WEBSOCKET"], ["Upgrade"]),
        ("Upgrade among others", ["Upgrade: h2c, websocket"], ["Upgrade"]),
        ("Connection in small letters", ["connection: upgrade"], ["Connection"]),
        ("Connection with keep-alive before", ["Connection: keep-alive, Upgrade"],
         ["Connection"]),
        ("Connection with keep-alive behind", ["Connection: Upgrade,keep-alive"],
         ["Connection"]),
        ("Connection in two fields", ["Connection: keep-alive", "Connection: Upgrade"],
         ["Connection"]),
        ("Connection with empty elements", ["Connection: , ,Upgrade,"], ["Connection"]),
        ("values with blanks around", ["Upgrade: \t websocket \t"], ["Upgrade"]),
        ("values without a blank before", ["Upgrade:websocket"], ["Upgrade"]),
        ("an Origin", ["Origin: http://example.com"], []),
        ("Origin: null", ["Origin: null"], []),
        ("a subprotocol the server does not know", ["Sec-WebSocket-Protocol: chat, v2"],
         []),
        ("an extension nobody knows", ["Sec-WebSocket-Extensions: x-foo; a=1; b=\"c\""],
         []),
        ("a cookie", ["Cookie: a=b; c=\"d e\""], []),
        ("a field with an empty value", ["X-Empty:"], []),
        ("a field with bytes over 127", ["X-Latin: caf\xe9"], []),
        ("a field name of all allowed signs", ["!#$%&'*+-.^_`|~09az: x"], []),
        ("Content-Length: 0", ["Content-Length: 0"], []),
        ("a Host with a port", ["Host: localhost:8080"], ["Host"]),
        ("a Host that is IPv6", ["Host: [::1]:80"], ["Host"]),
):
    case(S, name, opens, request(extra, drop))
for name, path in (
        ("a path with a query", "/a/b?c=d&e=%20"),
        ("the root", "/"),
        ("only a query", "/?x"),
        ("a long path", "/" + "p" * 8000),
        ("a path that is not decoded", "/%00%2e%2e/%2F"),
        ("a URI with a host", "http://localhost/chat"),
):
    case(S, name, opens, request(path=path))
case(S, "an empty line before the request", opens, b"\r\n" + request())
case(S, "60 fields of 6 KiB", opens,
     request([f"X-{i}: " + "v" * 6140 for i in range(60)]))
case(S, "500 fields", opens, request([f"X-{i}: {i}" for i in range(500)]))
case(S, "a field of 100 KiB", opens, request(["X-Long: " + "v" * 100000]))
for n in (1, 2, 3, 7, 64):
    case(S, f"in pieces of {n} bytes", opens, request(), None, n)


def split_anywhere(at):
    raw = request()
    for cut in range(1, len(raw)):
        with Peer(at, shake=False) as p:
            p.send(raw[:cut])
            p.send(raw[cut:])
            need(p.head() == 101, "cut at", cut, "status", p.status)


case(S, "cut in two at every byte", split_anywhere)


def with_first_frame(at):
    with Peer(at, shake=False) as p:
        p.send(request() + frame(FIN | TEXT, b"first"))
        need(p.head() == 101)
        need(p.message() == (TEXT, b"first"), "the frame behind the request is lost")


case(S, "a frame in the same segment as the request", with_first_frame)

for name, extra, drop, status in (
        ("no Host", [], ["Host"], (400,)),
        ("two Hosts", ["Host: other"], [], (400,)),
        ("no Upgrade", [], ["Upgrade"], (400, 426)),
        ("another Upgrade", ["Upgrade: h2c"], ["Upgrade"], (400, 426)),
        ("Upgrade: websocket2", ["Upgrade: websocket2"], ["Upgrade"], (400, 426)),
        ("no Connection", [], ["Connection"], (400, 426)),
        ("Connection: keep-alive", ["Connection: keep-alive"], ["Connection"], (400, 426)),
        ("Connection: Upgraded", ["Connection: Upgraded"], ["Connection"], (400, 426)),
        ("no key", [], ["Sec-WebSocket-Key"], (400,)),
        ("two keys", ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], [], (400,)),
        ("no version", [], ["Sec-WebSocket-Version"], (400, 426)),
        ("two versions", ["Sec-WebSocket-Version: 13"], [], (400, 426)),
        ("a body", ["Content-Length: 5"], [], (400,)),
        ("a chunked body", ["Transfer-Encoding: chunked"], [], (400, 501)),
):
    case(S, name, refused, request(extra, drop), *status)
for version in ("0", "4", "7", "8", "12", "14", "130", "255", "abc", "", "13.0", "+13", "013",
                "13, 8"):
    case("4.2.2", f"version \"{version}\"", refused,
         request([f"Sec-WebSocket-Version: {version}"], ["Sec-WebSocket-Version"]), 400, 426)
for name, key in (
        ("empty", ""), ("of 15 bytes", base64.b64encode(b"x" * 15).decode()),
        ("of 17 bytes", base64.b64encode(b"x" * 17).decode()),
        ("of 12 bytes", base64.b64encode(b"x" * 12).decode()),
        ("that is no base64", "!" * 22 + "=="),
        ("without padding", "dGhlIHNhbXBsZSBub25jZQ"),
        ("with a blank inside", "dGhlIHNhbXBsZSB ub25jZQ=="),
        ("with bits behind its end", "dGhlIHNhbXBsZSBub25jZR=="),
        ("very long", "A" * 4096 + "=="),
):
    case(S, f"a key {name}", refused, request(key=key), 400)
for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"):
    case(S, f"{method}", refused, request(line=f"{method} /chat HTTP/1.1"), 400, 405, 501)
for line in ("GET /chat HTTP/1.0", "GET /chat HTTP/0.9", "GET /chat HTTP/2.0",
             "GET /chat HTTP/1.1 x", "GET  /chat HTTP/1.1", "GET /chat", "GET",
             "GET chat HTTP/1.1", "GET * HTTP/1.1", "get /chat HTTP/1.1",
             "GET /chat http/1.1", "GET /ch at HTTP/1.1", " GET /chat HTTP/1.1",
             "GET /\x01 HTTP/1.1", "\x16\x03\x01\x02"):
    case(S, f"the line {line!r}", refused, request(line=line), 400, 405, 426, 501, 505)
for name, field in (
        ("a blank before the colon", "X-Foo : bar"), ("no colon", "X-Foo"),
        ("no name", ": bar"), ("a line that is folded", "X-Foo: a\r\n b"),
        ("a NUL in a value", "X-Foo: a\0b"), ("a NUL in a name", "X\0Foo: a"),
        ("a carriage return alone", "X-Foo: a\rb"), ("a name with a quote", "X\"Foo: b"),
        ("a name over 127", "X\xe9: b"), ("a control sign in a value", "X-Foo: \x01"),
        ("DEL in a value", "X-Foo: \x7f"),
):
    case("RFC 9112, 5", name, refused, request([field]), 400)
case("RFC 9110, 15.5.22", "no upgrade at all", refused,
     b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, 404, 426)
case("RFC 6585, 5", "a field of 1 MiB", refused, request(["X: " + "v" * (1 << 20)]), 431)
case("RFC 6585, 5", "a path of 1 MiB", refused, request(path="/" + "p" * (1 << 20)), 414, 431)
case("RFC 6585, 5", "a million fields", refused,
     request(["X: y"] * 200000), 431)


for host in ("a b", "a/b", "user@host", "http://host", "host:port", "host:80:81", "[::1",
             "::1", "[::1]x", "a\\b", "a?b", "a#b", "<a>", "a\tb"):
    case("RFC 9112, 3.2", f"Host: {host!r}", refused, request([f"Host: {host}"], ["Host"]), 400)
for host in ("", "a", "a.b-c.example", "127.0.0.1:1", "[::1]", "[2001:db8::1]:8080", "a:",
             "xn--mnchen-3ya.de:443", "a%20b", "a_b"):
    case("RFC 9112, 3.2", f"Host: {host!r}", opens, request([f"Host: {host}"], ["Host"]))
for name, fields in (
        ("a length and a coding", ["Content-Length: 0", "Transfer-Encoding: chunked"]),
        ("two lengths", ["Content-Length: 0", "Content-Length: 5"]),
        ("a negative length", ["Content-Length: -1"]),
        ("a length that is no number", ["Content-Length: x"]),
):
    case("RFC 9112, 6", name, refused, request(fields), 400, 501)
for name, extra, drop in (
        ("Upgrade in two fields", ["Upgrade: h2c", "Upgrade: websocket"], ["Upgrade"]),
        ("Upgrade with a version beside it", ["Upgrade: websocket/13, websocket"], ["Upgrade"]),
        ("Connection: close beside it", ["Connection: close, Upgrade"], ["Connection"]),
        ("Connection names a field", ["Connection: Upgrade, X-Hop", "X-Hop: 1"],
         ["Connection"]),
        ("fields in another order", ["Upgrade: websocket", "Connection: Upgrade",
                                     "Host: localhost"], ["Upgrade", "Connection", "Host"]),
        ("names in capitals", ["HOST: localhost", "CONNECTION: UPGRADE"],
         ["Host", "Connection"]),
        ("a subprotocol twice", ["Sec-WebSocket-Protocol: chat, chat"], []),
        ("an empty subprotocol", ["Sec-WebSocket-Protocol:"], []),
        ("Expect: 100-continue", ["Expect: 100-continue"], []),
        ("credentials", ["Authorization: Basic YTpi"], []),
        ("a proxy's fields", ["Via: 1.1 proxy", "X-Forwarded-For: 192.0.2.1",
                              "Forwarded: for=192.0.2.1"], []),
        ("extensions in two fields", ["Sec-WebSocket-Extensions: x-a",
                                      "Sec-WebSocket-Extensions: x-b; c"], []),
):
    case(S, name, opens, request(extra, drop))
for name, path in (
        ("a URI of ws:", "ws://localhost/chat"),
        ("a URI of another host", "http://example.com:8080/chat?x=1"),
        ("a URI without a path", "http://localhost"),
        ("a path with two slashes", "//chat//room"),
        ("a path with a colon", "/a:b@c"),
):
    case("RFC 9112, 3.2", name, opens, request(path=path))


def never_101(at):
    """Not one of the fields that make it a WebSocket may be left out."""
    for name in ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
                 "Host"):
        with Peer(at, shake=False) as p:
            p.send(request(drop=[name]))
            need(p.head() != 101, "101 without", name)


case(S, "no 101 without each of the fields", never_101)


def refused_and_over(at):
    with Peer(at, shake=False) as p:
        p.send(request(drop=["Sec-WebSocket-Key"]) + frame(FIN | TEXT, b"x"))
        need(p.head() == 400)
        n = int(p.field("content-length") or 0)
        p.take(n)
        p.ended()


case("4.2.2", "after a refusal it is over", refused_and_over)


def half_a_frame_behind(at, n):
    """What comes with the handshake may end anywhere in a frame."""
    whole = frame(FIN | TEXT, b"y" * 300)
    with Peer(at, shake=False) as p:
        p.send(request() + whole[:n])
        need(p.head() == 101, "status", p.status)
        p.send(whole[n:])
        need(p.message() == (TEXT, b"y" * 300), "message")


for n in (1, 2, 3, 4, 5, 7, 8, 9, 100, 307):
    case("4.2.2", f"{n} bytes of a frame right behind the request", half_a_frame_behind, n)
