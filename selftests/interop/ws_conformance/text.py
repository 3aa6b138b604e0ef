# SPDX-License-Identifier: GPL-2.0-only
"""RFC 6455, section 8.1: text is UTF-8 (RFC 3629), and nothing else is."""
import codecs

from .peer import BINARY, CONT, FIN, TEXT, Peer, case, frame, need

GOOD = {
    "ASCII": b"Hello, world!",
    "a NUL": b"a\0b",
    "Greek": "κόσμε".encode(),
    "Chinese": "漢字仮名交じり文".encode(),
    "an emoji": "😀👍🏽".encode(),
    "U+0001": b"\x01",
    "U+007F": b"\x7f",
    "U+0080, the first of two bytes": b"\xc2\x80",
    "U+07FF, the last of two bytes": b"\xdf\xbf",
    "U+0800, the first of three bytes": b"\xe0\xa0\x80",
    "U+D7FF, before the surrogates": b"\xed\x9f\xbf",
    "U+E000, behind the surrogates": b"\xee\x80\x80",
    "U+FFFD": b"\xef\xbf\xbd",
    "U+FFFE": b"\xef\xbf\xbe",
    "U+FFFF": b"\xef\xbf\xbf",
    "a byte order mark": b"\xef\xbb\xbfx",
    "U+10000, the first of four bytes": b"\xf0\x90\x80\x80",
    "U+3FFFF": b"\xf0\xbf\xbf\xbf",
    "U+10FFFF, the last of all": b"\xf4\x8f\xbf\xbf",
    "characters of all lengths": "aä€😀".encode() * 50,
}
BAD = {
    "a continuation byte": b"\x80",
    "the last continuation byte": b"\xbf",
    "continuation bytes": b"\x80\xbf\x80\xbf",
    "all 64 continuation bytes": bytes(range(0x80, 0xc0)),
    "a lonely start of two": b"\xc3 ",
    "a lonely start of three": b"\xe2 ",
    "a lonely start of four": b"\xf0 ",
    "two of three bytes": b"\xe2\x82 ",
    "two of four bytes": b"\xf0\x9f ",
    "three of four bytes": b"\xf0\x9f\x98 ",
    "C0, which never stands": b"\xc0\x80",
    "C1, which never stands": b"\xc1\xbf",
    "F5, which never stands": b"\xf5\x80\x80\x80",
    "F8, five bytes": b"\xf8\x88\x80\x80\x80",
    "FC, six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe", "FF": b"\xff",
    "a slash in two bytes": b"\xc0\xaf",
    "a slash in three bytes": b"\xe0\x80\xaf",
    "a slash in four bytes": b"\xf0\x80\x80\xaf",
    "U+007F in two bytes": b"\xc1\xbf",
    "U+07FF in three bytes": b"\xe0\x9f\xbf",
    "U+FFFF in four bytes": b"\xf0\x8f\xbf\xbf",
    "a NUL in two bytes": b"\xc0\x80",
    "a NUL in three bytes": b"\xe0\x80\x80",
    "U+D800, a surrogate": b"\xed\xa0\x80",
    "U+DB7F, a surrogate": b"\xed\xad\xbf",
    "U+DC00, a surrogate": b"\xed\xb0\x80",
    "U+DFFF, a surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "U+110000, beyond the end": b"\xf4\x90\x80\x80",
    "Latin-1": "café".encode("latin-1"),
    "UTF-16": "hi".encode("utf-16"),
    "good, then bad": "κόσμε".encode() + b"\xed\xa0\x80edited",
    "bad behind 1,000 good bytes": b"x" * 1000 + b"\xff",
    "bad amid 1,000 good bytes": b"x" * 500 + b"\xc3" + b"x" * 500,
}
# Begun, but not ended, at the end of the message.
CUT = {
    "one of two": b"x\xc3", "one of three": b"x\xe2", "two of three": b"x\xe2\x82",
    "one of four": b"x\xf0", "two of four": b"x\xf0\x9f", "three of four": b"x\xf0\x9f\x98",
}


def good(at, data):
    with Peer(at) as p:
        p.echo(TEXT, data)


def good_in_fragments(at, data):
    """Cut within characters: fragments are no messages."""
    with Peer(at) as p:
        for i in range(len(data)):
            p.send(frame((TEXT if i == 0 else CONT) |
                         (FIN if i == len(data) - 1 else 0), data[i:i + 1]))
        need(p.message() == (TEXT, data), "differs")


def bad(at, data):
    with Peer(at) as p:
        p.send(frame(FIN | TEXT, data))
        p.fails(1007)


def bad_in_fragments(at, data):
    with Peer(at) as p:
        for i in range(len(data)):
            p.send(frame((TEXT if i == 0 else CONT) |
                         (FIN if i == len(data) - 1 else 0), data[i:i + 1]))
        p.fails(1007)


def bad_at_once(at, data):
    """Nothing can mend it: it fails before the message's end."""
    with Peer(at) as p:
        p.send(frame(TEXT, data))
        p.fails(1007)


def fine_as_binary(at, data):
    with Peer(at) as p:
        p.echo(BINARY, data)


def beyond_repair(data):
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, False)
    except UnicodeDecodeError:
        return True
    return False


for name, data in GOOD.items():
    case("8.1", f"{name}", good, data)
    if len(data) > 1:
        case("8.1", f"{name}, a byte a fragment", good_in_fragments, data[:40].decode(
            errors="ignore").encode())
for name, data in BAD.items():
    case("8.1", f"not UTF-8: {name}", bad, data)
    case("8.1", f"not UTF-8: {name}, a byte a fragment", bad_in_fragments, data)
    if beyond_repair(data):
        case("8.1", f"not UTF-8: {name}, before the end", bad_at_once, data)
    case("5.6", f"in a binary message: {name}", fine_as_binary, data)
for name, data in CUT.items():
    case("8.1", f"the text ends within a character: {name}", bad, data)
    case("8.1", f"the text ends within a character: {name}, in fragments", bad_in_fragments,
         data)


def cut_by_ping(at):
    with Peer(at) as p:
        p.send(frame(TEXT, b"\xe2") + frame(FIN | 9, b"") + frame(CONT, b"\x82") +
               frame(FIN | 9, b"") + frame(FIN | CONT, b"\xac"))
        need(p.message() == (TEXT, "€".encode()))


def next_begins_anew(at):
    """What a binary message ends with is nothing to the text behind it."""
    with Peer(at) as p:
        p.echo(BINARY, b"\xe2\x82")
        p.echo(TEXT, b"text")
        p.echo(BINARY, b"\xf0")
        p.echo(TEXT, "😀".encode())


def every_character(at):
    with Peer(at) as p:
        for begin in range(0, 0x110000, 0x8000):
            data = "".join(chr(c) for c in range(begin, begin + 0x8000)
                           if not 0xd800 <= c < 0xe000).encode()
            if data:
                p.echo(TEXT, data)


case("8.1", "pings within a character", cut_by_ping)
case("8.1", "each message begins anew", next_begins_anew)
case("8.1", "every character there is", every_character)


def in_an_open_frame(at, before, bad, length):
    """Bad bytes are told though the rest of their frame has not come."""
    with Peer(at) as p:
        whole = frame(FIN | TEXT, b"o" * before + bad + b"x" * length)
        p.send(whole[:len(whole) - length])
        p.fails(1007)


for bad in (b"\xff", b"\xed\xa0\x80", b"\xf4\x90", b"\xc0", b"\x80", b"\xe0\x80", b"\xf5"):
    for before, length in ((2, 50), (2, 1000), (70000, 70000)):
        case("8.1", f"{bad.hex()} behind {before} bytes of a frame that goes on",
             in_an_open_frame, before, bad, length)
