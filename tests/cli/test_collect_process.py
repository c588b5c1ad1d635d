"""`pipeline collect` as a process: two at once, killed at any instant, and interrupted."""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.store.reader import Reader
from tests.support.commands import assert_refused, finished, pipeline, start
from tests.support.database import all_symbols, documents
from tests.support.hostile import drips, hostile
from tests.support.sandbox import serving

pytestmark = pytest.mark.process


def configure(folder: Path, base_url: str, symbols: list[str], *limits: str, **source: object) -> Path:
    """Write the configuration file, as `pipeline init` puts it, and return where the database will be."""
    (folder / "config").mkdir(exist_ok=True)
    lines = [
        'database = "data/overviews.db"',
        "[symbols]",
        f"list = {json.dumps(symbols)}",
        "[source]",
        f'base_url = "{base_url}"',
        f"limits = {json.dumps(limits)}",
        *(f"{name} = {json.dumps(value)}" for name, value in source.items()),
    ]
    (folder / "config" / "pipeline.toml").write_text("\n".join(lines))
    return folder / "data" / "overviews.db"


def query(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


async def test_of_several_at_once_one_runs_one_waits_and_without_patience_one_exits_with_6(tmp_path: Path) -> None:
    symbols = [f"Q{n:02}X" for n in range(30)]
    async with serving("40/day", latency=0.03) as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol})
        configure(tmp_path, served.base_url, symbols, "40/day", concurrency=1)
        first = await start(tmp_path, "collect")
        async with asyncio.timeout(20):
            while not served.api.seen:
                await asyncio.sleep(0.01)
        first.send_signal(signal.SIGSTOP)  # so that it is still at work when the others come
        second = await start(tmp_path, "collect")
        left = await pipeline(tmp_path, "collect", "--wait", "0")
        assert second.stderr is not None
        async with asyncio.timeout(20):
            note = (await second.stderr.readline()).decode()
        first.send_signal(signal.SIGCONT)
        ended, waited = await asyncio.gather(finished(first), finished(second))
    assert (ended.code, waited.code, left.code) == (ExitCode.DONE, ExitCode.DONE, ExitCode.BUSY)
    assert served.api.refused == 0
    assert Counter(served.api.seen) == dict.fromkeys(symbols, 1)
    assert_refused(left, ExitCode.BUSY, f"process {first.pid}")
    assert f"process {first.pid}" in note
    assert "60 s" in note


async def kill_rounds(folder: Path, rounds: int, *limits: str) -> None:
    """Kill it at random instants, restart it, and let the last one end; then count."""
    symbols = [f"Q{n:03}X" for n in range(100)]
    chance = random.Random(rounds)
    async with serving(latency=0.05) as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol, "Name": symbol})
        database = configure(folder, served.base_url, symbols, *limits, concurrency=2)
        acknowledged_symbols: set[str] = set()
        for _ in range(rounds):
            process = await start(folder, "-vv", "collect")
            try:
                async with asyncio.timeout(chance.uniform(0.45, 1.4)):
                    await process.wait()
            except TimeoutError:
                process.kill()
            acknowledged_symbols |= acknowledged((await finished(process)).err)
        for _ in range(60):
            ended = await pipeline(folder, "-vv", "collect")
            acknowledged_symbols |= acknowledged(ended.err)
            if ended.code == ExitCode.QUOTA:
                break
        assert ended.code == ExitCode.QUOTA, ended.err
        assert served.api.requests <= 25
        stored = all_symbols(database)
        assert acknowledged_symbols <= set(stored) <= set(served.api.seen)
        for symbol in stored:
            assert documents(database, symbol) == [{"Symbol": symbol, "Name": symbol}]
        assert query(database, "PRAGMA integrity_check") == [("ok",)]


def acknowledged(log: str) -> set[str]:
    """Return the symbols logged as stored, which is done only after the commit."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {line["symbol"] for line in lines if line["event"] == "symbol stored"}


async def test_killed_at_random_instants_it_stays_within_the_plan_and_loses_nothing(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 2, "25/day")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_twenty_times_on_the_free_plan(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 20, "25/day", "1/second")


async def test_an_interrupt_lets_open_requests_finish_and_defers_the_rest(tmp_path: Path) -> None:
    async with serving(latency=0.4) as served:
        symbols = ["QUVEX", "AAPL", "MSFT", "TSLA", "PEP", "KO"]
        database = configure(tmp_path, served.base_url, symbols, concurrency=2)
        process = await start(tmp_path, "collect", "--json")
        async with asyncio.timeout(20):
            while len(served.api.seen) < 2:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        ended = await finished(process)
    summary = json.loads(ended.out)
    assert (ended.code, summary["status"]) == (ExitCode.INTERRUPTED, "interrupted")
    assert (summary["stored"], summary["deferred"], summary["requests"]) == (2, 4, 2)
    with Reader.open(database) as reader:
        assert Counter(o.outcome for o in reader.outcomes(1)) == {"stored": 2, "deferred": 4}


async def test_a_second_signal_ends_it_while_a_request_hangs(tmp_path: Path) -> None:
    async with hostile(drips) as (server, base_url):
        database = configure(tmp_path, base_url, ["QUVEX"])
        process = await start(tmp_path, "collect")
        async with asyncio.timeout(20):
            while not server.requests:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b"stopping" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            await process.wait()
    assert (await finished(process)).code == ExitCode.INTERRUPTED
    assert query(database, "SELECT status FROM runs") == [("running",)]  # it did not wait for the run to end
