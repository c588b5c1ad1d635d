"""An HTTP proxy on loopback: CONNECT only, as a company's. It journals what it gets to see."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass
class ConnectProxy:
    """What a proxy does, and what it saw."""

    credentials: str | None = None
    """`user:password` as in a URL, if it wants them."""
    status: int | None = None
    """Answer this to every CONNECT; None: connect."""
    drops: bool = False
    """Drop every connection without an answer."""
    silent: bool = False
    """Never answer."""
    targets: list[str] = field(default_factory=list)
    """The targets of CONNECT, `host:port`."""
    seen: bytearray = field(default_factory=bytearray)
    """All bytes from clients."""
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen += head
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        assert method == "CONNECT"
        self.targets.append(target)
        if self.silent:
            await reader.read()
        if self.drops or self.silent:
            return
        expected = None if self.credentials is None else base64.b64encode(unquote(self.credentials).encode())
        status = self.status or (200 if expected is None or b"Basic " + expected in head else 407)
        if status != 200:
            writer.write(b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()
            return
        host, _, port = target.rpartition(":")
        there, back = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(self._copy(reader, back, journal=True), self._copy(there, writer, journal=False))
        finally:
            await _close(back)

    async def _copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, journal: bool) -> None:
        with suppress(ConnectionError):
            while chunk := await source.read(65536):
                if journal:
                    self.seen += chunk
                to.write(chunk)
                await to.drain()
        to.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def proxying(proxy: ConnectProxy) -> AsyncIterator[ConnectProxy]:
    """Serve on loopback while the block runs; the proxy then knows its URL, with user and password if it wants them."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await proxy.serve(reader, writer)
        finally:
            await _close(writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    userinfo = f"{proxy.credentials}@" if proxy.credentials else ""
    proxy.url = f"http://{userinfo}127.0.0.1:{port}"
    try:
        yield proxy
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
