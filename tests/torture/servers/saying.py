"""Saying: how a server answers that keeps to nothing. Each function returns what writes such an answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import repeat

from tests.support.hostile import says, sends

KEY = "S3CR3TK3YOFOURS1"
Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


def document(symbol: str, **more: object) -> bytes:
    """Return the overview of a symbol."""
    return json.dumps({"Symbol": symbol, "Name": f"{symbol} Inc", "PERatio": "10.5", **more}).encode()


def whole_of(symbol: str, *headers: str, status: str = "200 OK") -> Say:
    return says(document(symbol), status, *headers)


def raw(head: str, body: bytes = b"", *, drop: bool = True) -> Say:
    """Answer with these lines of a head, and drop the connection or not."""
    return sends(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body, then_drop=drop)


def chunks(*pieces: bytes, drop: bool = True) -> Say:
    return raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"".join(pieces), drop=drop)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def slowly(pieces: Iterator[bytes]) -> Say:
    """Send pieces for ever, faster than a deadline of a second."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)

    return say


def endless(begin: bytes, piece: bytes) -> Say:
    """Send as fast as it is taken, for ever."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # drain() alone lets nobody else in as long as the client takes it all

    return say


def drip(head: bytes, piece: bytes) -> Say:
    return slowly(iter((head, *repeat(piece, 10_000))))


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def half_closes(writer: asyncio.StreamWriter) -> None:
    """Say that nothing comes any more, and keep the connection."""
    with suppress(OSError, NotImplementedError):
        writer.write_eof()
    await asyncio.sleep(3600)


def twice(symbol: str, other: str) -> Say:
    """Answer, and add an answer that nobody has asked for."""
    one, more = document(symbol), document(other)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return sends(head % len(one) + one + head % len(more) + more)


def first(before: bytes, say: Say) -> Say:
    async def both(writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await say(writer)

    return both


def closing(answer: bytes) -> Say:
    """Send something, and close the connection in order."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    return say


def then_drops(say: Say) -> Say:
    async def both(writer: asyncio.StreamWriter) -> None:
        await say(writer)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    return both


def whole(*headers: str, status: str = "200 OK") -> Callable[[str], Say]:
    """Answer with the overview of whatever symbol was asked for, under these headers and this status."""
    return lambda symbol: whole_of(symbol, *headers, status=status)


def said(body: bytes, *head: str) -> Callable[[str], Say]:
    """Answer with this, whatever symbol was asked for."""
    return lambda _symbol: says(body, *head)


def with_symbol(text: bytes) -> Callable[[str], Say]:
    """Answer with a text in which the symbol that was asked for is put in the place of `"{}"`."""
    return lambda symbol: says(text.replace(b'"{}"', b'"%b"' % symbol.encode()))
