"""Attacks on an HTTP server on loopback: each opens some connections, misbehaves on them, and closes what is left."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

_HOST = "127.0.0.1"
_READ_WITHIN = 3.0
"""Seconds: a server waits longer for the next request of a connection."""
_HEALTH_WITHIN = 30.0
"""Seconds for each step of a health check. On a busy machine the system may let a connection wait for a few."""
_LINGER_NONE = struct.pack("ii", 1, 0)
"""With it, closing a socket resets the connection."""
_HEAD = b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Target:
    """A server under attack, and what the attackers have seen of it."""

    port: int
    random: Random
    connections: int = 0
    answers: int = 0
    refused: int = 0
    """Questions that were answered with 503: more than can wait."""


Attack = Callable[[Target], Coroutine[Any, Any, None]]


async def why_unhealthy(port: int) -> str | None:
    """Return why the health check is not answered; None if it is.

    It is asked in a thread: the loop of the attackers may be busy for longer than a server waits for a request that is
    still to come while hundreds of other connections are made.
    """
    return await asyncio.to_thread(_why_unhealthy, port)


def _why_unhealthy(port: int) -> str | None:
    begun_at = time.monotonic()
    try:
        with socket.create_connection((_HOST, port), timeout=_HEALTH_WITHIN) as connection:
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := connection.recv(1 << 12):
                answer += piece
    except OSError as error:
        return f"{type(error).__name__} {error} after {time.monotonic() - begun_at:.1f} s"
    if answer.startswith(b"HTTP/1.1 200"):
        return None
    return f"answered {answer[:200]!r} after {time.monotonic() - begun_at:.1f} s"


async def connect(port: int) -> Streams:
    """Return a new connection, over which nothing is sent yet."""
    return await asyncio.open_connection(_HOST, port)


async def _connect(target: Target) -> Streams | None:
    target.connections += 1
    try:
        async with asyncio.timeout(_READ_WITHIN):
            return await connect(target.port)
    except (OSError, TimeoutError):
        return None


def _reset(streams: Streams) -> None:
    """Close a connection without saying so in order."""
    with suppress(OSError):
        streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    streams[1].transport.abort()


async def _send(target: Target, sent: bytes, *, reads: int = 1 << 16, resets: bool = False) -> bytes:
    """Send something over a connection of its own, and return what comes back, up to a number of bytes."""
    streams = await _connect(target)
    if streams is None:
        return b""
    answer = b""
    try:
        async with asyncio.timeout(_READ_WITHIN):
            streams[1].write(sent)
            while len(answer) < reads and (piece := await streams[0].read(reads)):
                answer += piece
    except (OSError, TimeoutError):
        pass
    finally:
        if resets:
            _reset(streams)
        streams[1].close()
    return answer


async def _send_all(
    target: Target, pieces: Sequence[bytes], *, reads: int = 1 << 16, resets: bool = False
) -> list[bytes]:
    return await asyncio.gather(*(_send(target, piece, reads=reads, resets=resets) for piece in pieces))


async def silent(target: Target) -> None:
    """Hundreds of connections that say nothing."""
    held = await asyncio.gather(*(_connect(target) for _ in range(300)))
    await asyncio.sleep(0.2)
    for streams in filter(None, held):
        target.random.choice((_reset, lambda one: one[1].close()))(streams)


async def _drip(target: Target, sent: bytes, piece: bytes) -> None:
    """Send the beginning of a request, and then a piece at a time."""
    streams = await _connect(target)
    if streams is None:
        return
    with suppress(OSError):
        streams[1].write(sent)
        for _ in range(20):
            streams[1].write(piece)
            await streams[1].drain()
            await asyncio.sleep(0.05)
    streams[1].close()


async def slow_headers(target: Target) -> None:
    """Headers that come a byte at a time, for ever."""
    await asyncio.gather(*(_drip(target, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a") for _ in range(150)))


async def slow_bodies(target: Target) -> None:
    """Bodies that are announced and come slowly."""
    heads = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n",
        b"GET /companies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
    )
    await asyncio.gather(*(_drip(target, head, b"x" * 100) for head in heads for _ in range(40)))


async def half_open(target: Target) -> None:
    """Connections of which one side is closed, or that are reset as soon as they are there."""
    for _ in range(150):
        streams = await _connect(target)
        if streams is None:
            continue
        with suppress(OSError):
            streams[1].write(b"GET / HTTP/1.1\r\nHo"[: target.random.randrange(18)])
            if target.random.random() < 0.5:
                streams[1].write_eof()
            else:
                _reset(streams)
        streams[1].close()


async def pipelined(target: Target) -> None:
    """Hundreds of requests at once over one connection, whose answers nobody reads to the end."""
    paths = (b"/companies", b"/-/healthy", b"/api/v1/companies", b"/nothing", b"/metrics")
    sent = b"".join(_HEAD % (path, b"") for path in paths) * 60
    await _send_all(target, [sent] * 8, reads=20_000)


async def oversized(target: Target) -> None:
    """Lines, headers and numbers of headers beyond all bounds."""
    large = b"x" * 1_000_000
    await _send_all(
        target,
        [
            _HEAD % (b"/" + large, b""), _HEAD % (b"/?q=" + large, b""), _HEAD % (b"/", b"X: " + large + b"\r\n"),
            _HEAD % (b"/", b"X" + large + b": 1\r\n"), _HEAD % (b"/", b"X: 1\r\n" * 50_000), b"G" * 1_000_000,
            _HEAD % (b"/", b"Cookie: " + b"a=b; " * 100_000 + b"\r\n"), b"GET / HTTP/1.1" + b"\r\n " * 100_000,
        ],
    )  # fmt: skip


async def reset_in_answers(target: Target) -> None:
    """Questions whose answers are cut off."""
    paths = (
        b"/companies",
        b"/changes",
        b"/api/v1/companies?field=all",
        b"/api/v1/changes?limit=1000",
        b"/companies/S1",
        b"/static/site.css",
    )
    await _send_all(target, [_HEAD % (path, b"") for path in paths for _ in range(10)], reads=100, resets=True)


async def garbage(target: Target) -> None:
    """What is no HTTP, or is none of today."""
    random = target.random
    whole = [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + more for more in _WRONG_BODIES]
    paths = (b"/\xff\xfe%00%ff", b"/as-of/%E2%98%83/companies/../../../etc/passwd", b"http://evil.example/", b"*")
    await _send_all(
        target,
        [
            *_NOT_HTTP, *whole, *(_HEAD % (path, b"") for path in paths),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(500),
            *(random.randbytes(random.randrange(2000)) for _ in range(20)),
        ],
        resets=random.random() < 0.5,
    )  # fmt: skip


_NOT_HTTP = (
    b"GET /\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", b"\0" * 5000, b"GET",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 10_000, b"SSH-2.0-OpenSSH_9\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
)  # fmt: skip
_WRONG_BODIES = (
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
)


async def upgrades(target: Target) -> None:
    """Clients that want another protocol."""
    websocket = (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    http2 = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
    paths = (b"/", b"/companies", b"/nothing")
    await _send_all(
        target, [_HEAD % (path, more) for path in paths for more in (websocket, http2) for _ in range(5)], reads=2000
    )


async def many_hosts(target: Target) -> None:
    """Names that the server may not be called by, none, and two."""
    hosts = [b"Host: h%d.example\r\n" % number for number in range(60)]
    hosts += [
        b"",
        b"Host:\r\n",
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"Host: [::1\r\n",
        b"Host: " + b"\xff" * 50 + b"\r\n",
    ]
    await _send_all(target, [b"GET / HTTP/1.1\r\n" + host + b"\r\n" for host in hosts], reads=2000)


async def questions(target: Target) -> None:
    """More questions at once than can be answered, each another one; some for symbols that are not kept yet."""
    number = target.random.randrange(10**6)
    paths = [
        path % (number + place)
        for place in range(60)
        for path in (
            b"/api/v1/changes?limit=1000&min_change=0.%06d",
            b"/as-of/2026-04-20T00:00:00.%06dZ/companies",
            b"/query?function=OVERVIEW&symbol=Z%d&apikey=any",
        )
    ]
    closing = b"Connection: close\r\n"
    answers = await _send_all(target, [_HEAD % (path, closing) for path in paths], reads=1 << 20)
    target.answers += sum(map(bool, answers))
    target.refused += sum(answer.startswith(b"HTTP/1.1 503") for answer in answers)


ATTACKS: Sequence[Attack] = (
    silent, slow_headers, slow_bodies, half_open, pipelined, oversized, reset_in_answers, garbage, upgrades, many_hosts,
    questions,
)  # fmt: skip
