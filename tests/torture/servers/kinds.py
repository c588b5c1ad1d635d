"""Kinds of misbehaviour: what a server, a proxy or a broken line may answer, and how a symbol may end then."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.support.hostile import bomb, drops, never_ends, says, sends
from tests.torture.servers.saying import (
    KEY,
    Say,
    chunk,
    chunks,
    closing,
    document,
    drip,
    endless,
    first,
    half_closes,
    raw,
    said,
    silent,
    slowly,
    then_drops,
    twice,
    whole,
    whole_of,
    with_symbol,
)

STORED, FAILED, REJECTED, UNKNOWN = (frozenset({one}) for one in ("stored", "failed", "rejected", "unknown"))
ANY = STORED | FAILED | REJECTED
"""Of what HTTP leaves open."""
ELSEWHERE = "http://127.0.0.1:9/elsewhere"
"""Where nobody listens: to go there is to fail, and to tell it the key."""
_GZIP = "Content-Encoding: gzip"
_ECHO = f"We have detected your API key as {KEY}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to misbehave, for a symbol."""

    say: Callable[[str], Say]
    outcomes: frozenset[str]
    may_be_slow: bool = False
    """Whether it lasts until the request's deadline."""


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_TRANSPORT: Mapping[str, Kind] = {
    "drops the connection": Kind(lambda _: drops, FAILED),
    "says nothing": Kind(lambda _: silent, FAILED, may_be_slow=True),
    "half-closes": Kind(lambda _: half_closes, FAILED, may_be_slow=True),
    "drops it in the head": Kind(lambda _: sends(b"HTTP/1.1 200 OK\r\nContent-Le", then_drop=True), FAILED),
    "drops it in the body": Kind(lambda s: raw("HTTP/1.1 200 OK\nContent-Length: 900", document(s)), FAILED),
    "claims too short a body": Kind(
        lambda s: raw("HTTP/1.1 200 OK\nContent-Length: 9", document(s)), FAILED | REJECTED
    ),
    "claims a negative length": Kind(lambda s: raw("HTTP/1.1 200 OK\nContent-Length: -5", document(s)), FAILED),
    "claims a length in words": Kind(lambda s: raw("HTTP/1.1 200 OK\nContent-Length: many", document(s)), FAILED),
    "claims two lengths": Kind(
        lambda s: raw("HTTP/1.1 200 OK\nContent-Length: 9\nContent-Length: 70", document(s)), ANY
    ),
    "claims an endless length": Kind(
        lambda s: raw("HTTP/1.1 200 OK\nContent-Length: 99999999999999999999", document(s)), FAILED
    ),
    "claims a length and chunks": Kind(
        lambda s: raw(
            "HTTP/1.1 200 OK\nContent-Length: 9\nTransfer-Encoding: chunked", chunk(document(s)) + b"0\r\n\r\n"
        ),
        ANY,
    ),
    "sends chunks without an end": Kind(lambda s: chunks(chunk(document(s))), FAILED),
    "sends a chunk of no size": Kind(lambda s: chunks(b"zz\r\n", document(s)), FAILED),
    "sends a chunk of negative size": Kind(lambda s: chunks(b"-5\r\n", document(s)), FAILED),
    "sends a chunk of endless size": Kind(lambda s: chunks(b"f" * 40 + b"\r\n", document(s)), FAILED),
    "sends a size without an end": Kind(
        lambda _: endless(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 4096), FAILED, True
    ),
    "sends trailers": Kind(lambda s: chunks(chunk(document(s)), b"0\r\nX-Checksum: 1\r\n\r\n", drop=False), STORED),
    "sends trailers without an end": Kind(
        lambda s: endless(
            _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(document(s)) + b"0\r\n", b"X-More: 1\r\n"
        ),
        FAILED | REJECTED,
        True,
    ),
    "sends single bytes": Kind(
        lambda s: slowly(bytes([one]) for one in _HEAD + b"\r\n" + document(s) * 50), FAILED, True
    ),
    "drips headers": Kind(lambda _: drip(_HEAD, b"X-Slow: 1\r\n"), FAILED, True),
    "drips a body": Kind(lambda _: drip(_HEAD + b"Content-Length: 100000\r\n\r\n", b" "), FAILED, True),
    "sends headers without an end": Kind(lambda _: endless(_HEAD, b"X-Many: 1\r\n" * 100), FAILED, True),
    "sends a header without an end": Kind(lambda _: endless(_HEAD + b"X-Long: ", b"x" * 65_536), FAILED, True),
    "sends a status line without an end": Kind(lambda _: endless(b"HTTP/1.1 200 ", b"x" * 65_536), FAILED, True),
    "sends a body without an end": Kind(lambda _: never_ends, REJECTED),
    "sends a gzip bomb": Kind(lambda _: bomb(), REJECTED),
    "sends broken gzip": Kind(lambda s: says(b"\x1f\x8b\x08" + document(s), "200 OK", _GZIP), FAILED),
    "sends half of a gzip": Kind(lambda s: says(gzip.compress(document(s))[:-12], "200 OK", _GZIP), FAILED | REJECTED),
    "sends gzip twice": Kind(lambda s: says(gzip.compress(document(s)) * 2, "200 OK", _GZIP), ANY),
    "sends good gzip": Kind(lambda s: says(gzip.compress(document(s)), "200 OK", _GZIP), STORED),
    "says gzip, and sends none": Kind(lambda s: says(document(s), "200 OK", _GZIP), FAILED),
    "says br": Kind(lambda s: says(document(s), "200 OK", "Content-Encoding: br"), ANY),
    "says a coding that there is not": Kind(lambda s: says(document(s), "200 OK", "Content-Encoding: x-odd"), ANY),
    "answers twice": Kind(lambda s: twice(s, "EVIL"), STORED | FAILED),
    "switches protocols": Kind(
        lambda _: raw("HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: Upgrade"), FAILED | REJECTED, True
    ),
    "goes on with 100": Kind(lambda s: first(b"HTTP/1.1 100 Continue\r\n\r\n" * 5, whole_of(s)), ANY),
    "goes on with 100 for ever": Kind(lambda _: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), FAILED, True),
    "gives early hints for ever": Kind(
        lambda _: endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), FAILED | REJECTED, True
    ),
    "speaks another protocol": Kind(lambda _: sends(b"SSH-2.0-OpenSSH_9\r\n\r\n", then_drop=True), FAILED),
    "speaks HTTP/0.9": Kind(lambda s: sends(document(s), then_drop=True), FAILED),
    "speaks HTTP/2": Kind(lambda s: raw("HTTP/2.0 200 OK\nContent-Length: 5", document(s)), FAILED | REJECTED),
    "speaks HTTP/1.0": Kind(lambda s: closing(b"HTTP/1.0 200 OK\r\n\r\n" + document(s)), STORED),
    "sends zeros": Kind(lambda _: sends(b"\0" * 5000, then_drop=True), FAILED),
}
"""What goes wrong between the server and us."""

_DATES = (
    "Thu, 32 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "yesterday",
    "",
    "Mon, 99 Foo 2026 99:99:99 +9999",
)

_STATUSES: Mapping[str, frozenset[str]] = {
    "204 No Content": REJECTED | FAILED,
    "206 Partial Content": ANY,
    "304 Not Modified": REJECTED | FAILED,
    "400 Bad Request": REJECTED,
    "404 Not Found": REJECTED,
    "407 Proxy": ANY,
    "418 Teapot": REJECTED,
    "500 Error": FAILED,
    "503 Busy": FAILED,
    "599 Odd": FAILED,
    "999 Odd": ANY,
    "000 None": ANY,
    "abc Words": FAILED,
    "-1 Negative": FAILED,
    "99999 Large": FAILED | REJECTED,
}

_WAITS = ("1e30", "9" * 400, "-5", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "")
_PLACES = (
    "file:///etc/passwd",
    ELSEWHERE,
    "/query",
    "//evil.example",
    f"{ELSEWHERE}?apikey={KEY}",
    "javascript:1",
    "",
)

_HEADS: Mapping[str, Kind] = {
    **{f"has the date {date!r}": Kind(whole(f"Date: {date}"), ANY) for date in _DATES},
    **{f"answers {status}": Kind(whole(status=status), outcomes) for status, outcomes in _STATUSES.items()},
    **{
        f"asks to be asked again in {wait[:10]!r}": Kind(whole(f"Retry-After: {wait}", status="503 Busy"), FAILED)
        for wait in _WAITS
    },
    **{
        f"redirects to {place[:20]!r} with {status}": Kind(
            said(b"", f"{status} Found", f"Location: {place}"), REJECTED | FAILED
        )
        for place in _PLACES
        for status in (301, 307)
    },
    "sets a thousand cookies": Kind(lambda s: whole_of(s, *(f"Set-Cookie: c{n}=x; Path=/" for n in range(200))), ANY),
    "sets large cookies": Kind(lambda s: whole_of(s, f"Set-Cookie: c={'x' * 7000}"), ANY),
    "sends one header twice": Kind(lambda s: whole_of(s, "Content-Type: text/html", "Date: x", "Date: y"), ANY),
    "sends a header without a name": Kind(lambda s: whole_of(s, ": nothing"), ANY),
    "sends a header without a colon": Kind(lambda s: whole_of(s, "nothing"), ANY),
    "sends a header of odd letters": Kind(lambda s: raw("HTTP/1.1 200 OK\nX-Odd: \xff\xfe\x01\x7f", document(s)), ANY),
    "sends a header with a NUL": Kind(lambda s: raw("HTTP/1.1 200 OK\nX-Odd: a\0b", document(s)), ANY),
    "folds a header": Kind(lambda s: raw("HTTP/1.1 200 OK\nX-Odd: a\n b", document(s)), ANY),
    "ends lines with LF": Kind(lambda s: closing(b"HTTP/1.1 200 OK\nX: y\n\n" + document(s)), ANY),
    "says that it is HTML": Kind(lambda s: says(document(s), "200 OK", "Content-Type: text/html"), STORED),
    "says a charset that there is not": Kind(
        lambda s: raw("HTTP/1.1 200 OK\nContent-Type: application/json; charset=odd", document(s)), ANY
    ),
    "gives no reason": Kind(lambda s: whole_of(s, status="200"), STORED),
    "keeps the connection and drops it": Kind(lambda s: then_drops(whole_of(s, "Connection: keep-alive")), STORED),
}
"""What is odd about a head."""
_TEXTS: Mapping[str, tuple[bytes, frozenset[str]]] = {
    "nothing": (b"", FAILED | REJECTED),
    "an empty object": (b"{}", UNKNOWN),
    "an array": (b"[]", REJECTED),
    "a text": (b'"x"', REJECTED),
    "null": (b"null", REJECTED),
    "a number": (b"1", REJECTED),
    "a page": (b"<html>busy</html>", REJECTED),
    "spaces": (b" " * 9000, REJECTED),
    "half of it": (b'{"Symbol": "S', REJECTED),
    "NaN": (b'{"Symbol": "{}", "x": NaN}', REJECTED),
    "1e999": (b'{"Symbol": "{}", "x": 1e999}', REJECTED),
    "a lone surrogate": (b'{"Symbol": "{}", "x": "\\ud800"}', REJECTED),
    "a NUL": (b'{"Symbol": "{}", "x": "\\u0000"}', ANY),
    "a long number": (b'{"Symbol": "{}", "x": ' + b"9" * 5000 + b"}", ANY),
    "deep arrays": (b'{"Symbol": "{}", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", REJECTED),
    "a name twice": (b'{"Symbol": "{}", "x": 1, "x": 2}', ANY),
    "two documents": (b'{"Symbol": "{}"}{"Symbol": "{}"}', REJECTED),
    "UTF-16": ('{"Symbol": "{}"}'.encode("utf-16"), REJECTED),
    "Latin-1": ('{"Symbol": "{}", "x": "é"}'.encode("latin-1"), REJECTED),
    "a byte order mark": (b'\xef\xbb\xbf{"Symbol": "{}"}', ANY),
    "another symbol": (b'{"Symbol": "EVIL", "PERatio": "1"}', REJECTED),
    "no symbol": (b'{"Name": "x", "PERatio": "1"}', REJECTED),
    "a symbol that is a number": (b'{"Symbol": 1}', REJECTED),
    "a thousand fields": (
        b'{"Symbol": "{}"' + b"".join(b', "Field%d": "x"' % n for n in range(1000)) + b"}",
        STORED,
    ),
    "a wording never seen": (b'{"Information": "The stars are not right."}', REJECTED),
    "an error of theirs": (b'{"Error Message": "Invalid API call. Please retry"}', REJECTED),
    "the key in a wording": (json.dumps({"Information": f"Odd: {_ECHO}"}).encode(), REJECTED),
    "the key in a value": (b'{"Symbol": "{}", "Name": "%b"}' % KEY.encode(), REJECTED),
    "the key in a name": (b'{"Symbol": "{}", "%b": "x"}' % KEY.lower().encode(), REJECTED),
    "the key in a page": (f"<html>{_ECHO}</html>".encode(), REJECTED),
    "the key escaped": (
        b'{"Symbol": "{}", "Name": "%b"}' % "".join(f"\\u{ord(c):04x}" for c in KEY).encode(),
        REJECTED,
    ),
    "a part of the key": (b'{"Symbol": "{}", "Name": "%b"}' % KEY[:12].encode(), REJECTED),
}

_BODIES: Mapping[str, Kind] = {
    **{f"answers with {name}": Kind(with_symbol(text), outcomes) for name, (text, outcomes) in _TEXTS.items()},
    "has the key in its headers": Kind(whole(f"X-Key: {KEY}", f"Location: /?apikey={KEY}"), STORED),
    "has the key in its reason": Kind(whole(status=f"503 {KEY}"), FAILED),
    "has the key in its status": Kind(whole(status=KEY), FAILED),
}
"""What is odd about a body."""
KINDS: Mapping[str, Kind] = {**_TRANSPORT, **_HEADS, **_BODIES}
GOOD = Kind(whole(), STORED)
