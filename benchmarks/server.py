"""The server that the clients are measured against: a process of its own, fast enough not to be the bottleneck.

It speaks as much HTTP as a GET needs, counts the requests in every window of its plan, and refuses those over a limit.
It ends when its standard input is closed. Its last line has the counts, as JSON.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks.documents import Documents
from benchmarks.processes import cpu_seconds, python
from pipeline.quota.limits import Limit

_END = b"\r\n\r\n"
_SYMBOL = b"symbol="
_ENDS_SYMBOL = (b"&", b" ")
_CLOSE = b"connection: close"
_LONGEST_RUN = timedelta(minutes=20)
"""It ends after this in any case."""
_REFUSAL = b'{"Information": "Burst pattern detected: more requests than this plan allows."}'


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a server."""

    latency: timedelta = timedelta()
    limits: tuple[Limit, ...] = ()


@dataclass(slots=True)
class Counted:
    """The counts of a server that has ended."""

    requests: int = 0
    refused: int = 0
    most_in_sliding_window: int = 0
    most_in_fixed_window: int = 0
    first: float = 0.0
    """When the first request arrived, in seconds of the machine's monotonic clock; `last`: the last."""
    last: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class Served:
    """A running server; `counted` is set when it ends."""

    url: str
    counted: Counted = field(default_factory=Counted)


@contextmanager
def served(plan: Plan) -> Iterator[Served]:
    """Run a server while the block runs, then set its counts."""
    limits = [argument for limit in plan.limits for argument in ("--limit", str(limit))]
    command = python("benchmarks.server", "--latency", str(plan.latency.total_seconds()), *limits)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        server = Served(f"http://127.0.0.1:{int(process.stdout.readline())}/query")
        try:
            yield server
        finally:
            process.stdin.close()
            server.counted = Counted(**json.loads(process.stdout.readline()))


# In the server's own process


class Windows:
    """Counts arrivals in every window of the plan: sliding ones, and fixed ones as the wall clock divides time."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self._limits = [(limit.count, limit.period.total_seconds()) for limit in limits]
        self._arrivals: list[float] = []
        self._fixed: dict[tuple[float, int], int] = {}
        self.counted = Counted()

    def admits(self) -> bool:
        """Count a request, and return whether it is within every limit. Refused requests count too."""
        now = time.monotonic()
        counted = self.counted
        counted.requests += 1
        counted.first = counted.first or now
        counted.last = now
        if not self._limits:
            return True
        self._arrivals.append(now)
        within = [self._is_within(count, period, now) for count, period in self._limits]  # each one counts
        admitted = all(within)
        counted.refused += not admitted
        return admitted

    def _is_within(self, count: int, period: float, now: float) -> bool:
        sliding = len(self._arrivals) - bisect_left(self._arrivals, now - period)  # both ends belong to it
        window = (period, int(time.time() // period))
        fixed = self._fixed[window] = self._fixed.get(window, 0) + 1
        counted = self.counted
        counted.most_in_sliding_window = max(counted.most_in_sliding_window, sliding)
        counted.most_in_fixed_window = max(counted.most_in_fixed_window, fixed)
        return sliding <= count and fixed <= count


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, documents: Documents, windows: Windows, latency: float) -> None:
        self._documents = documents
        self._windows = windows
        self._latency = latency
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(_END)) >= 0:
            head, self._received = self._received[:end], self._received[end + len(_END) :]
            answer = self._answer(head)  # counted on arrival: only the answer is delayed
            closes = _CLOSE in head.lower()
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._send, answer, closes)
            else:
                self._send(answer, closes)

    def _answer(self, head: bytes) -> bytes:
        body = self._documents.body(_symbol(head)) if self._windows.admits() else _REFUSAL
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def _send(self, answer: bytes, closes: bool) -> None:  # noqa: FBT001 - called back by the loop
        assert self._transport is not None
        self._transport.write(answer)
        if closes:
            self._transport.close()


def _symbol(head: bytes) -> bytes:
    start = head.index(_SYMBOL) + len(_SYMBOL)
    return head[start : min(found for mark in _ENDS_SYMBOL if (found := head.find(mark, start)) >= 0)]


async def _serve(plan: Plan) -> Counted:
    loop = asyncio.get_running_loop()
    windows, documents = Windows(plan.limits), Documents()
    server = await loop.create_server(
        lambda: Connection(documents, windows, plan.latency.total_seconds()), "127.0.0.1", 0, backlog=1024
    )
    before = cpu_seconds(resource.RUSAGE_SELF)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.timeout(_LONGEST_RUN.total_seconds()):
            await reader.read()
    windows.counted.cpu_seconds = cpu_seconds(resource.RUSAGE_SELF) - before
    return windows.counted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", action="append", type=Limit.parse, default=[])
    arguments = parser.parse_args()
    counted = asyncio.run(_serve(Plan(timedelta(seconds=arguments.latency), tuple(arguments.limit))))
    print(json.dumps({name: getattr(counted, name) for name in Counted.__slots__}), flush=True)


if __name__ == "__main__":
    main()
