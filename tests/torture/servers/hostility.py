"""Hostility: a server on loopback that misbehaves for each symbol in its own way, and notes what it was asked."""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tests.torture.servers.kinds import Kind

_SYMBOL = re.compile(r"[?&]symbol=([A-Z0-9.-]+)")


class Hostility:
    """Answers each request by the kind of its symbol, and counts the requests for each."""

    def __init__(self) -> None:
        self.kinds: Mapping[str, Kind] = {}
        self.requests: Counter[str] = Counter()
        self.strange: list[str] = []
        """Lines of requests that should not have been sent: cookies, other paths, other methods."""
        self.url = ""

    def begin(self, kinds: Mapping[str, Kind]) -> None:
        """Misbehave in these ways from now on, by symbol."""
        self.kinds = kinds
        self.requests.clear()
        self.strange.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError, ValueError):
            while line := (await reader.readline()).decode("latin-1"):
                symbol = self._note(line)
                while header := (await reader.readline()).strip():
                    if header.lower().startswith((b"cookie:", b"authorization:", b"referer:")):
                        self.strange.append(header.decode("latin-1"))
                if symbol not in self.kinds:
                    break
                await self.kinds[symbol].say(symbol)(writer)
        with suppress(OSError):
            writer.close()

    def _note(self, line: str) -> str:
        found = _SYMBOL.search(line)
        symbol = found[1] if found else ""
        if not line.startswith("GET /query?function=OVERVIEW&symbol=") or symbol not in self.kinds:
            self.strange.append(line.strip())
        self.requests[symbol] += 1
        return symbol


@asynccontextmanager
async def served(tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostility]:
    """Serve on loopback while the block runs, over TLS or not."""
    hostility = Hostility()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await hostility.serve(reader, writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    hostility.url = f"https://localhost:{port}/query" if tls else f"http://127.0.0.1:{port}/query"
    try:
        yield hostility
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
