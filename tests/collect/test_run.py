"""The real command against a real server: what it keeps, what it sends, and how it ends."""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.errors import KeyRefused, QuotaEnded
from pipeline.collect.active_run import UNSTORED_PER_WORKER, ActiveRun
from pipeline.collect.endings import decisive_reason, ending
from pipeline.collect.failures import TooManyFailures
from pipeline.collect.halt import Halt, Interrupted
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.limits import Limit
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from pipeline.store.writer import StorageError
from tests.support.clocks import ManualClock
from tests.support.commands import KEY, finished, pipeline, start
from tests.support.disk import no_file_larger_than
from tests.support.hostile import Say, bomb, drips, drops, hostile, never_ends, says, sends
from tests.support.kept import all_symbols, documents
from tests.support.recordings import ERRORS, needs_recordings, recorded
from tests.support.sandbox import serving

QUICK = {"PIPELINE_SOURCE__LIMITS": "[]"}


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


# What it keeps


@needs_recordings
async def test_recorded_overviews_served_over_http_are_all_kept_and_read_back_exactly(tmp_path: Path) -> None:
    bodies = {line["symbol"]: line["body"] for line in recorded("overviews.jsonl.gz")}
    async with serving() as served:
        for symbol, body in bodies.items():
            served.api.says(symbol, body)
        database = configure(tmp_path, served.base_url, list(bodies))
        ended = await pipeline(tmp_path, "collect", "--json")
    summary = json.loads(ended.out)
    assert (ended.code, summary["status"], summary["stored"]) == (0, "complete", len(bodies))
    assert summary["requests"] == served.api.requests == len(bodies)
    for symbol, body in bodies.items():
        assert [json.dumps(kept) for kept in documents(database, symbol)] == [json.dumps(json.loads(body))]


async def test_the_summary_says_what_the_contract_says(tmp_path: Path) -> None:
    async with serving() as served:
        configure(tmp_path, served.base_url, ["QUVEX", "AAPL"])
        ended = await pipeline(tmp_path, "collect", "--json")
    summary = json.loads(ended.out)
    assert list(summary) == (
        [
            "run",
            "trigger",
            "status",
            "symbols",
            "due",
            "stored",
            "unchanged",
            "unknown",
            "failed",
            "rejected",
            "deferred",
            "requests",
            "seconds",
        ]
    )
    assert (summary["run"], summary["trigger"], summary["symbols"], summary["due"]) == (1, "manual", 2, 2)


async def test_only_what_is_due_is_asked_and_what_is_named_whatever_its_age(tmp_path: Path) -> None:
    async with serving() as served:
        configure(tmp_path, served.base_url, ["QUVEX", "AAPL", "MSFT"])
        await pipeline(tmp_path, "collect", "AAPL")
        await pipeline(tmp_path, "collect")
        assert Counter(served.api.seen) == {"QUVEX": 1, "AAPL": 1, "MSFT": 1}
        nothing = await pipeline(tmp_path, "collect")
        assert "nothing is due" in nothing.out
        assert nothing.code == 0
        await pipeline(tmp_path, "collect", "msft", "MSFT")
        await pipeline(tmp_path, "collect", "--force")
    assert Counter(served.api.seen) == {"QUVEX": 2, "AAPL": 2, "MSFT": 3}


async def test_without_a_configuration_it_does_the_sensible_thing(tmp_path: Path) -> None:
    async with serving() as served:
        ended = await pipeline(
            tmp_path, "collect", "AAPL", PIPELINE_SOURCE__BASE_URL=served.base_url, XDG_DATA_HOME=str(tmp_path / "data")
        )
    database = tmp_path / "data" / "overview-pipeline" / "overviews.db"
    assert ended.code == 0
    assert str(database) in ended.err
    assert all_symbols(database) == ["AAPL"]
    assert database.stat().st_mode & 0o777 == 0o600
    assert "1 request took" in ended.out


# What it refuses


@needs_recordings
async def test_every_recorded_refusal_stores_nothing_and_tells_no_key(tmp_path: Path) -> None:
    expected = {
        "Throttled": (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA, Outcome.DEFERRED),
        "QuotaEnded": (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA, Outcome.DEFERRED),
        "NotInPlan": (RunStatus.FAILED, ExitCode.REFUSED, Outcome.DEFERRED),
        "KeyRefused": (RunStatus.FAILED, ExitCode.REFUSED, Outcome.DEFERRED),
        "BadRequest": (RunStatus.FAILED, ExitCode.FAILED, Outcome.REJECTED),
        "UnknownSymbol": (RunStatus.COMPLETE, ExitCode.DONE, Outcome.UNKNOWN),
        "Unavailable": (RunStatus.FAILED, ExitCode.FAILED, Outcome.FAILED),
    }
    kinds = {
        "auth": "KeyRefused", "bad": "BadRequest", "entitlement": "NotInPlan", "no": "UnknownSymbol",
        "throttle": "Throttled", "transient": "Unavailable",
    }  # fmt: skip
    symbols = [Symbol(name) for name in ("QUVEX", "AAPL", "MSFT")]
    for line in (ERRORS / "MEANING.tsv").read_text().splitlines()[1:]:
        name, _, meaning, *_, http = line.split("\t")
        hands = ManualClock()
        database = tmp_path / f"{name}.db"
        migrate(database, now=hands.wall)
        body = (ERRORS / name).read_text().replace("X" * 16, KEY)
        async with serving() as served:
            for symbol in symbols:
                served.api.says(symbol, body, status=int(http.split()[0]), times=None)
            source = Source(
                served.base_url, KEY, (Limit.parse("25/day"),), 1, timedelta(seconds=5), timedelta(seconds=120), 3
            )
            summary = await collect(database, source, Order(tuple(symbols), None), halt=Halt(), clock=hands.clock())
        status, code, outcome = expected[kinds[meaning.split()[0]]]
        assert (summary.status, summary.exit_code) == (status, code), name
        assert summary.counts[outcome] == 3, name
        assert query(database, "SELECT count(*) FROM snapshots") == [(0,)]
        assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.glob(f"{name}.db*"))


async def test_the_key_is_in_no_output_and_no_log(tmp_path: Path) -> None:
    body = json.dumps({"Information": f"We have detected your API key as {KEY}. Something new about {KEY}."})
    async with serving() as served:
        for symbol in ("QUVEX", "AAPL", "MSFT"):
            served.api.says(symbol, body, times=None)
        database = configure(tmp_path, served.base_url, ["QUVEX", "AAPL", "MSFT"])
        ended = await pipeline(tmp_path, "-vv", "collect")
    assert ended.code == ExitCode.FAILED
    assert "Something new about" in ended.err
    assert KEY not in ended.out + ended.err
    assert not any(KEY.encode() in file.read_bytes() for file in database.parent.iterdir())


HOSTILE: dict[str, tuple[Say, Outcome]] = {
    "drops": (drops, Outcome.FAILED),
    "drips": (drips, Outcome.FAILED),
    "breaks off": (sends(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"Symbol"', then_drop=True), Outcome.FAILED),
    "never ends": (never_ends, Outcome.REJECTED),
    "bomb": (bomb(), Outcome.REJECTED),
    "redirects": (says(b"", "302 Found", "Location: http://127.0.0.1:9/"), Outcome.REJECTED),
    "long number": (says(b'{"Symbol": "IBM", "EPS": ' + b"9" * 5000 + b"}"), Outcome.REJECTED),
    "deep": (says(b'{"Symbol": "IBM", "EPS": ' + b"[" * 9000 + b"]" * 9000 + b"}"), Outcome.REJECTED),
    "latin-1": (says('{"Symbol": "IBM", "Name": "\xe9"}'.encode("latin-1")), Outcome.REJECTED),
    "another's": (says(b'{"Symbol": "PEP", "Name": "x"}'), Outcome.REJECTED),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_server_stores_nothing_and_costs_bounded_time(
    database: Path, hands: ManualClock, what: str
) -> None:
    say, outcome = HOSTILE[what]
    async with hostile(say) as (server, base_url), asyncio.timeout(20):
        source = Source(base_url, KEY, (), 1, timedelta(seconds=0.5), timedelta(), attempts=2)
        summary = await collect(database, source, Order((Symbol("IBM"),), None), halt=Halt(), clock=hands.clock())
    assert (summary.status, summary.counts[outcome]) == (RunStatus.FAILED, 1)
    assert summary.requests == len(server.requests) == (2 if outcome is Outcome.FAILED else 1)
    assert all_symbols(database) == []
    with Reader.open(database) as record:
        (ended,) = record.outcomes(summary.run)
    assert ended.detail


# Two at once, kills, and signals


async def test_of_two_at_once_one_waits_and_none_asks_twice(tmp_path: Path) -> None:
    symbols = [f"Q{n:02}X" for n in range(30)]
    async with serving("40/day", latency=0.05) as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol})
        configure(tmp_path, served.base_url, symbols, "40/day", concurrency=2)
        first, second = await asyncio.gather(start(tmp_path, "collect"), start(tmp_path, "collect"))
        ends = await asyncio.gather(finished(first), finished(second))
    assert [end.code for end in ends] == [0, 0]
    assert served.api.refused == 0
    assert Counter(served.api.seen) == dict.fromkeys(symbols, 1)
    assert sum("waiting up to 60 s for collect" in end.err for end in ends) == 1


async def test_with_no_patience_the_second_leaves_with_6(tmp_path: Path) -> None:
    async with serving(latency=0.5) as served:
        database = configure(tmp_path, served.base_url, ["QUVEX", "AAPL", "MSFT", "TSLA"], concurrency=1)
        first = await start(tmp_path, "collect")
        async with asyncio.timeout(20):
            while not served.api.seen:
                await asyncio.sleep(0.01)
        second = await pipeline(tmp_path, "collect", "--wait", "0")
        assert second.code == ExitCode.BUSY
        assert f"process {first.pid}" in second.err
        assert second.err.count("\n") == 1
        assert (await finished(first)).code == 0
    assert len(all_symbols(database)) == 4


async def kill_rounds(folder: Path, rounds: int, *limits: str) -> None:
    """Kill it at random instants, restart it, and let the last one end; then count."""
    symbols = [f"Q{n:03}X" for n in range(100)]
    chance = random.Random(rounds)
    async with serving(latency=0.05) as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol, "Name": symbol})
        database = configure(folder, served.base_url, symbols, *limits, concurrency=2)
        told: set[str] = set()
        for _ in range(rounds):
            process = await start(folder, "-vv", "collect")
            try:
                async with asyncio.timeout(chance.uniform(0.45, 1.4)):
                    await process.wait()
            except TimeoutError:
                process.kill()
            told |= acknowledged((await finished(process)).err)
        for _ in range(60):
            ended = await pipeline(folder, "-vv", "collect")
            told |= acknowledged(ended.err)
            if ended.code == ExitCode.QUOTA:
                break
        assert ended.code == ExitCode.QUOTA, ended.err
        assert served.api.requests <= 25
        kept = all_symbols(database)
        assert told <= set(kept) <= set(served.api.seen)
        for symbol in kept:
            assert documents(database, symbol) == [{"Symbol": symbol, "Name": symbol}]
        assert query(database, "PRAGMA integrity_check") == [("ok",)]


def acknowledged(log: str) -> set[str]:
    """Return the symbols of which the log says that they are stored: written only after the commit."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {line["symbol"] for line in lines if line["event"] == "stored"}


async def test_killed_at_random_instants_it_keeps_within_the_plan_and_loses_nothing(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 4, "25/day")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_twenty_times_on_the_free_plan(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 20, "25/day", "1/second")


async def test_interrupted_it_lets_those_in_flight_finish_and_defers_the_rest(tmp_path: Path) -> None:
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
    with Reader.open(database) as record:
        assert Counter(o.outcome for o in record.outcomes(1)) == {"stored": 2, "deferred": 4}


async def test_a_second_signal_ends_it_though_a_request_hangs(tmp_path: Path) -> None:
    async with hostile(drips) as (server, base_url):
        configure(tmp_path, base_url, ["QUVEX"])
        process = await start(tmp_path, "collect")
        async with asyncio.timeout(20):
            while not server.requests:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        async with asyncio.timeout(4):
            while b"stopping" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            await process.wait()
    assert (await finished(process)).code == ExitCode.INTERRUPTED


async def test_a_request_that_hangs_is_broken_off_when_the_run_was_interrupted(
    database: Path, hands: ManualClock
) -> None:
    async with hostile(drips) as (server, base_url):
        source = Source(base_url, KEY, (), 2, timedelta(seconds=30), timedelta(), 3)
        halt, order = Halt(), Order((Symbol("IBM"), Symbol("PEP"), Symbol("KO")), None)
        runs: list[ActiveRun] = []

        async def stop() -> None:
            while len(server.requests) < 2:
                await asyncio.sleep(0)
            halt(Interrupted("stopped by a signal"))
            (run,) = runs
            run.cancel_requests()

        stopping = asyncio.create_task(stop())
        async with asyncio.timeout(10):
            summary = await collect(database, source, order, halt=halt, on_start=runs.append, clock=hands.clock())
        await stopping
    assert (summary.status, summary.exit_code) == (RunStatus.INTERRUPTED, ExitCode.INTERRUPTED)
    assert summary.counts == {Outcome.DEFERRED: 3}
    assert summary.requests == 2
    with Reader.open(database) as record:
        assert len(record.outcomes(summary.run)) == 3


# When nothing can be stored


@pytest.mark.parametrize("limits", [(), ("10000/day",)])
async def test_on_a_full_disk_it_spends_no_more_quota_and_ends_with_one_line(
    database: Path, hands: ManualClock, limits: tuple[str, ...]
) -> None:
    symbols = tuple(Symbol(f"Q{n:03}X") for n in range(200))
    async with serving() as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol, "Description": symbol * 500})
        plan = tuple(Limit.parse(limit) for limit in limits)
        source = Source(served.base_url, KEY, plan, 4, timedelta(seconds=5), timedelta(), 3)
        with no_file_larger_than(database.stat().st_size + 200_000):
            summary = await collect(database, source, Order(symbols, None), halt=Halt(), clock=hands.clock())
        asked = served.api.requests
    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.detail is not None
    assert "overviews.db: the disk" in summary.detail
    assert 1 <= summary.counts[Outcome.FAILED] <= 4 * (1 if limits else 1 + UNSTORED_PER_WORKER)
    assert summary.counts.total() == 200
    # What was stored before is there, once; of what was asked, only those in flight are lost.
    kept = all_symbols(database)
    assert len(kept) == summary.counts[Outcome.STORED]
    assert asked == len(kept) + summary.counts[Outcome.FAILED]
    assert sum(hands.waits) < 60


# How a run is judged


@pytest.mark.parametrize(
    ("reasons", "status", "code"),
    [
        ([QuotaEnded("x"), Interrupted("y")], RunStatus.INTERRUPTED, 130),
        ([TooManyFailures("x"), QuotaEnded("y")], RunStatus.QUOTA_EXHAUSTED, 5),
        ([KeyRefused("x"), QuotaEnded("y")], RunStatus.FAILED, 3),
        ([StorageError("x"), KeyRefused("y")], RunStatus.FAILED, 1),
        ([Interrupted("x"), StorageError("y")], RunStatus.INTERRUPTED, 130),
        ([TooManyFailures("x")], RunStatus.FAILED, 1),
    ],
)
def test_where_several_rows_apply_the_lowest_decides(reasons: list[Exception], status: RunStatus, code: int) -> None:
    assert ending(Counter({Outcome.STORED: 1}), decisive_reason(reasons)) == (status, code)
