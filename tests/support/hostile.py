"""A server that sends the bytes a test gives it, and counts its requests."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Hostile:
    """Reads whole requests, and answers each with `say`."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.requests: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := await reader.readline():
                self.requests.append(line.decode())
                while (await reader.readline()).strip():
                    pass
                await self.say(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def hostile(say: Say, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Hostile, str]]:
    """Serve on loopback, over TLS or not; yield the server and its URL."""
    server = Hostile(say)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.serve(reader, writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, f"https://localhost:{port}/query" if tls else f"http://127.0.0.1:{port}/query"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(body: bytes, status: str = "200 OK", *headers: str) -> Say:
    """Answer with this, whole."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return sends("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def sends(answer: bytes, *, then_drop: bool = False) -> Say:
    """Send these bytes, and then drop the connection or not."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if then_drop:
            writer.transport.abort()

    return say


async def drops(writer: asyncio.StreamWriter) -> None:
    """Drop the connection without an answer."""
    writer.transport.abort()


async def drips(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, forever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def never_ends(writer: asyncio.StreamWriter) -> None:
    """Send a body without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


@cache
def bomb() -> Say:
    """A gzip bomb: 100 MB of spaces in 0.4 MB."""
    packer = zlib.compressobj(level=1, wbits=31)
    megabyte = b" " * 1_000_000
    parts = [packer.compress(b'{"Symbol": "IBM", "Name": "')]
    parts += [packer.compress(megabyte) for _ in range(100)]
    parts += [packer.compress(b'"}'), packer.flush()]
    return says(b"".join(parts), "200 OK", "Content-Encoding: gzip")
