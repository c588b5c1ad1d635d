"""The parts of a fleet that its pace depends on, each alone. Run as a process: prints JSON.

PostgreSQL is the wheel's, with its files on a disk and fsync on.
"""

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from benchmarks.fleet import Parts
from pipeline import instants
from pipeline.clock import Clock
from pipeline.fleet.follow import open_follower
from pipeline.fleet.install import install
from pipeline.fleet.log import SymbolEnd, append
from pipeline.fleet.pool import open_pool
from pipeline.sandbox.companies import Companies
from pipeline.store.backup import backup
from pipeline.store.migrate import migrate
from tests.support.postgres import running_server

_FIRST_DAY = date(2024, 1, 1)
_COMPANIES = 250
_KEY = "00000000000000a1"
_CONNECTIONS = 4
_AT_ONCE = 20
"""Slots that are taken, and answers that are appended, in one statement."""
_WINDOW = (1200, timedelta(milliseconds=200))
"""As many requests as the largest plan has in a window, but in a shorter time, so that it is not what is measured."""
_SLOTS = 6_000
_RESERVE: LiteralString = """
    SELECT slot_id FROM fleet.reserve(%s, %s, %s, %b::bigint[], %b::text[], %b::boolean[], %b::bigint[], %b::text[],
                                      %b::float8[])
     WHERE verdict = 'granted'
"""
_COPY: LiteralString = "COPY fleet.log (seq, kind, at, symbol, attempts, body) FROM STDIN"


async def _slots(url: str) -> float:
    """Return how many slots of one key are reserved and closed in a second, by four members."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO fleet.keys (id, name) VALUES (%s, 'one')", (_KEY,))
        db.execute("INSERT INTO fleet.limits (key_id, count, period) VALUES (%s, %s, %s)", (_KEY, *_WINDOW))

    async def member(number: int) -> None:
        closed: list[int] = []
        done = 0
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None) as db:
            while done < _SLOTS // _CONNECTIONS:
                symbols = [f"S{number}-{one}" for one in range(_AT_ONCE)]
                values = [[None] * _AT_ONCE, symbols, [False] * _AT_ONCE]
                closing = [closed, ["answered"] * len(closed), [0.0] * len(closed)]
                rows = await db.execute(_RESERVE, (_KEY, f"m{number}", timedelta(seconds=35), *values, *closing))
                done += len(closed)
                closed = [slot for (slot,) in await rows.fetchall()]

    return _SLOTS / await _seconds(member)


async def _appended(url: str, ends: Sequence[SymbolEnd], at_once: int) -> float:
    """Return how many answers are appended in a second, by four members."""
    share = len(ends) // _CONNECTIONS

    async def member(number: int) -> None:
        own = ends[number * share : (number + 1) * share]
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None) as db:
            for start in range(0, len(own), at_once):
                await append(db, f"m{number}", own[start : start + at_once])

    return len(ends) / await _seconds(member)


async def _seconds(member: Callable[[int], Awaitable[None]]) -> float:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(_CONNECTIONS):
            group.create_task(_awaited(member(number)))
    return time.perf_counter() - began


async def _awaited(one: Awaitable[None]) -> None:
    await one


def _answers(number: int) -> Iterator[SymbolEnd]:
    """Yield that many answers: the sandbox's companies, day after day."""
    companies = Companies()
    covered = (symbol for symbol in companies.symbols if companies.document(symbol, _FIRST_DAY) is not None)
    symbols = list(islice(covered, _COMPANIES))
    for slot in range(number):
        day = _FIRST_DAY + timedelta(days=slot // _COMPANIES)
        symbol = symbols[slot % _COMPANIES]
        body = json.dumps(companies.document(symbol, day))
        at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(milliseconds=slot % _COMPANIES)
        digest = hashlib.blake2b(body.encode(), digest_size=16).digest()
        yield SymbolEnd(1, symbol, "answered", 1, at, slot=slot + 1, digest=digest, body=body)


def _fill(url: str, answers: Iterator[SymbolEnd]) -> int:
    """Put answers into the log all at once, as if they had been appended. Return how many."""
    seq = 0
    with psycopg.connect(url, autocommit=True) as db:
        with db.cursor() as cursor, cursor.copy(_COPY) as copy:
            for seq, one in enumerate(answers, start=1):
                copy.write_row((seq, "answer", one.at, one.symbol, 1, one.body))
        db.execute("UPDATE fleet.log_head SET seq = %s, timeline = 1", (seq,))
    return seq


async def _followed(url: str, folder: Path) -> tuple[int, float, float]:
    """Return how many entries a new record got from the log, in how many seconds; and those that a backup took."""
    database = folder / "overviews.db"
    migrate(database, now=instants.utc_now())
    async with open_pool(url) as pool, open_follower(database, pool, clock=Clock()) as follower:
        began = time.perf_counter()
        entries = await follower.catch_up()
        seconds = time.perf_counter() - began
    began = time.perf_counter()
    backup(database, folder / "copy.db", now=instants.utc_now())
    return entries, seconds, time.perf_counter() - began


async def _measured(appended: int, in_log: int) -> Parts:
    with running_server(is_durable=True) as server, tempfile.TemporaryDirectory() as folder:
        urls = []
        for name in ("slots", "appended", "large", "filled"):
            with psycopg.connect(server.url(), autocommit=True) as db:
                db.execute(f"CREATE DATABASE {name}".encode())
            urls.append(server.url(name))
            with psycopg.connect(urls[-1], autocommit=True) as db:
                install(db)
        answers = list(_answers(appended))
        slots = await _slots(urls[0])
        singly, large = await _appended(urls[1], answers, _AT_ONCE), await _appended(urls[2], answers, 5 * _AT_ONCE)
        if in_log:
            _fill(urls[3], _answers(in_log))
        entries, seconds, copied = await _followed(urls[3 if in_log else 2], Path(folder))
        return Parts(slots, singly, large, entries, seconds, copied)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appended", type=int, default=20_000, metavar="ANSWERS")
    parser.add_argument("--followed", type=int, default=0, metavar="ANSWERS", help="in a log of its own")
    arguments = parser.parse_args()
    try:
        parts = asyncio.run(_measured(arguments.appended, arguments.followed))
    except pytest.skip.Exception as reason:
        print(json.dumps({"skipped": str(reason)}))
    else:
        print(json.dumps(asdict(parts)))


if __name__ == "__main__":
    main()
