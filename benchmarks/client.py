"""The clients that are compared. Run as a process: runs one of them once, and prints what it took as JSON.

`pipeline` is the product without its start: it parses strictly, types, deduplicates and commits durably. The
others are what is usually written instead, with aiohttp alone: they parse, and store nothing.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from aiohttp import ClientSession

from benchmarks.documents import symbols
from benchmarks.processes import Took, cpu_seconds, peak_megabytes
from pipeline import instants
from pipeline.api.client import open_api
from pipeline.cli.event_loop import tune_garbage_collector
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.model.outcomes import Outcome
from pipeline.quota.keys import ApiKey, fingerprint
from pipeline.quota.limits import Limit, max_workers
from pipeline.store.migrate import migrate

_CHUNK = 500
_KEY = "benchmark"


Client = Callable[[str, int], Awaitable[int]]
"""Requests `count` symbols from a URL, and returns how many overviews it got."""


async def one_by_one(url: str, count: int) -> int:
    """Request one symbol after another."""
    async with ClientSession() as session:
        return len([await _fetched(session, url, symbol) for symbol in symbols(count)])


async def gathered(url: str, count: int) -> int:
    """Request all symbols at once, in chunks of 500."""
    names, got = symbols(count), 0
    async with ClientSession() as session:
        for start in range(0, count, _CHUNK):
            chunk = names[start : start + _CHUNK]
            got += len(await asyncio.gather(*(_fetched(session, url, symbol) for symbol in chunk)))
    return got


async def _fetched(session: ClientSession, url: str, symbol: str) -> Any:
    async with session.get(f"{url}?function=OVERVIEW&symbol={symbol}&apikey={_KEY}") as response:
        return await response.json()


async def requested(url: str, count: int) -> int:
    """Request like the product, with as many workers, and parse each answer strictly, but store nothing."""
    left, within, concurrency = iter(symbols(count)), timedelta(seconds=30), max_workers(())
    key = fingerprint(_KEY)

    async def work() -> int:
        got = 0
        for symbol in left:
            await api.overview(symbol, key=key, within=within)
            got += 1
        return got

    async with open_api(url, {key: _KEY}, concurrency=concurrency, reuse=True) as api, asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(concurrency)]
    return sum(task.result() for task in tasks)


def pipeline(database: Path, limits: tuple[Limit, ...]) -> Client:
    """Return the product: one run into a new file, migrated beforehand."""
    migrate(database, now=instants.utc_now())
    tune_garbage_collector()  # as the command does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))

    async def run(url: str, count: int) -> int:
        source = Source(
            base_url=url,
            keys=(ApiKey("", _KEY, limits),),
            concurrency=max_workers(limits),
            timeout=timedelta(seconds=30),
            wait=timedelta(seconds=120),
            attempts=3,
        )
        order = Order(symbols(count), observed_since=None)
        summary = await collect(database, source, order, halt=Halt())
        return summary.counts[Outcome.STORED]

    return run


def _timed(client: Client, url: str, count: int, *, loop: Callable[[], asyncio.AbstractEventLoop] | None) -> Took:
    async def timed() -> Took:
        began, worked = time.perf_counter(), cpu_seconds(resource.RUSAGE_SELF)
        got = await client(url, count)
        seconds = time.perf_counter() - began
        return Took(got, seconds, cpu_seconds(resource.RUSAGE_SELF) - worked, peak_megabytes())

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(timed())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=("one-by-one", "gathered", "requested", "pipeline"))
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--limit", action="append", type=Limit.parse, default=[])
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--database", type=Path)
    arguments = parser.parse_args()
    loop = None
    if arguments.uvloop:
        import uvloop  # noqa: PLC0415 - an extra: only where the option wants it

        loop = uvloop.new_event_loop
    with tempfile.TemporaryDirectory() as folder:
        database = arguments.database or Path(folder, "overviews.db")
        plain = {"one-by-one": one_by_one, "gathered": gathered, "requested": requested}
        client = plain.get(arguments.client) or pipeline(database, tuple(arguments.limit))
        took = _timed(client, arguments.url, arguments.count, loop=loop)
    if took.overviews != arguments.count:
        sys.exit(f"{arguments.client} got {took.overviews} overviews of {arguments.count}")
    print(json.dumps(asdict(took)))


if __name__ == "__main__":
    main()
