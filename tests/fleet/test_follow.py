import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from pipeline.errors import Trouble
from pipeline.fleet import follow as module
from pipeline.fleet.connection import connected
from pipeline.fleet.entries import LogError
from pipeline.fleet.follow import SetBack, Unfollowable, open_follower
from pipeline.fleet.pool import Pool, fetch, open_pool
from pipeline.fleet.state import read_state
from pipeline.model.outcomes import Outcome, RunId, Trigger
from pipeline.store.backup import backup
from pipeline.store.log_place import Followed, followed
from pipeline.store.reader import Reader
from tests.support.clocks import START, ManualClock
from tests.support.fleet_log import (
    answer,
    append,
    content,
    ended,
    follow,
    reserved,
    results_of,
    rows,
    unreliable,
)
from tests.support.kills import left_at_each_statement
from tests.support.store import imported


async def begin(pool: Pool) -> RunId:
    async with results_of(pool) as results:
        return await results.begin(Trigger.MANUAL, at=START, symbols=1, due=1)


async def test_a_follower_that_is_killed_at_any_instant_goes_on(
    database: Path, fleet_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    async with open_pool(fleet_url) as pool:
        run = await begin(pool)
        for turn in range(4):
            eps = str(turn // 2)
            ends = [
                answer(await reserved(pool, name), turn, {"Symbol": name, "EPS": eps}, symbol=name, run=run)
                for name in ("IBM", "PEP")
            ]
            gone = ended(Outcome.UNKNOWN, turn, symbol="KO", run=run, number=await reserved(pool, "KO"))
            await append(pool, *ends, gone)

    def follow_all() -> None:
        asyncio.run(_follow(fleet_url, database))

    left = await asyncio.to_thread(left_at_each_statement, database, tmp_path / "left", follow_all)
    for copy in left:
        await _follow(fleet_url, copy)

    places = {followed(copy) for copy in left}
    assert len(left) > 5
    assert len(places) == 1
    assert all(content(copy) == content(database) for copy in left)


async def _follow(url: str, database: Path) -> None:
    async with open_pool(url) as pool:
        await follow(database, pool)


async def test_a_backup_of_a_follower_goes_on_where_it_was_made(database: Path, fleet_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with open_pool(fleet_url) as pool:
        await append(pool, answer(await reserved(pool, "IBM"), 1, {"Symbol": "IBM"}))
        await follow(database, pool)
        backup(database, copy, now=START)
        await append(pool, answer(await reserved(pool, "PEP"), 2, {"Symbol": "PEP"}, symbol="PEP"))
        async with open_follower(copy, pool, clock=ManualClock().as_clock()) as follower:
            assert await follower.catch_up() == 1
        await follow(database, pool)

    assert content(copy) == content(database)


async def test_chunks_are_read_until_the_end_of_the_log(
    database: Path, fleet_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    progress = []
    async with open_pool(fleet_url) as pool:
        await append(pool, *(ended(Outcome.FAILED, 1, symbol=f"S{number}") for number in range(5)))
        async with open_follower(
            database, pool, clock=ManualClock().as_clock(), on_progress=lambda *at: progress.append(at)
        ) as follower:
            assert await follower.catch_up() == 5
            assert await follower.catch_up() == 0

    assert progress == [(2, 5), (4, 5), (5, 5)]
    (fleet,) = rows(fleet_url, "SELECT id::text FROM fleet.about")[0]
    assert followed(database) == Followed(fleet, 1, 5)


async def test_a_missing_entry_is_an_error_that_names_it(database: Path, fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        await append(pool, *(ended(Outcome.FAILED, 1, symbol=f"S{number}") for number in range(4)))
        async with pool.connection() as db:
            await db.execute("DELETE FROM fleet.log WHERE seq = 3")
        with pytest.raises(LogError, match=r"entry 3 .* is missing"):
            await follow(database, pool)
        async with pool.connection() as db:
            await db.execute("DELETE FROM fleet.log")
        with pytest.raises(LogError, match=r"entry 1 .* is missing"):
            await follow(database, pool)


async def test_on_a_new_timeline_it_goes_back_and_forgets_the_runs_that_the_fleet_forgot(
    database: Path, fleet_url: str
) -> None:
    async with open_pool(fleet_url) as pool:
        kept = await begin(pool)
        await append(pool, ended(Outcome.FAILED, 1, run=kept))
        lost = await begin(pool)
        number = await reserved(pool, "PEP")
        await append(pool, answer(number, 2, {"Symbol": "PEP"}, symbol="PEP", run=lost))
        await follow(database, pool)
        async with pool.connection() as db:  # as a standby that had not heard of the last two entries
            await db.execute("DELETE FROM fleet.log WHERE seq > 2; DELETE FROM fleet.outcomes WHERE symbol = 'PEP'")
            await db.execute("UPDATE fleet.log_head SET seq = 2, timeline = 9; UPDATE fleet.timelines SET timeline = 9")
        (fleet,) = rows(fleet_url, "SELECT id::text FROM fleet.about")[0]
        with closing(sqlite3.connect(database)) as db:
            db.execute("UPDATE followed SET timeline = 9")
            db.commit()
        await follow(database, pool)
        await append(pool, ended(Outcome.REJECTED, 3, run=kept, symbol="KO"))
        await follow(database, pool)

    found = content(database)
    assert followed(database) == Followed(fleet, 1, 3)
    assert [row[0] for row in found["runs"]] == [kept]
    assert [row[:3] for row in found["outcomes"]] == [(kept, "IBM", "failed"), (kept, "KO", "rejected")]
    assert [row[0] for row in found["snapshots"]] == ["PEP"], "what was observed stays"


async def test_an_outage_is_waited_out_and_told_once(database: Path, fleet_url: str) -> None:
    said: list[str] = []
    stop = asyncio.Event()
    clock = ManualClock()
    async with open_pool(fleet_url) as pool:
        await append(pool, ended(Outcome.FAILED, 1))
        broken = unreliable(pool, "ok", "before", "before", "before")
        async with open_follower(
            database, broken, clock=clock.as_clock(), on_progress=lambda *_: stop.set()
        ) as follower:
            await follower.run(stop, on_outage=said.append)

    assert clock.waits[:3] == [3, 3, 3]
    assert len(said) == 1
    assert follower.cursor.seq == 1


async def test_a_record_that_collects_for_itself_is_not_written_to(database: Path, fleet_url: str) -> None:
    await imported(database, ("a", 1))
    async with open_pool(fleet_url) as pool:
        with pytest.raises(Unfollowable, match="collects for itself"):
            await follow(database, pool)


async def test_a_record_that_follows_another_fleet_is_not_written_to(database: Path, fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        await follow(database, pool)
        async with pool.connection() as db:
            await db.execute("UPDATE fleet.about SET id = gen_random_uuid()")
        with pytest.raises(Unfollowable, match="another fleet"):
            await follow(database, pool)


async def test_a_run_under_way_shows_what_it_has_got_so_far(database: Path, pool: Pool) -> None:
    run = await begin(pool)
    await append(pool, answer(await reserved(pool, "IBM"), 1, {"Symbol": "IBM"}, run=run))
    await append(pool, ended(Outcome.FAILED, 1, symbol="PEP", run=run, attempts=3))
    await follow(database, pool)

    with Reader.open(database) as reader:
        (found,) = reader.runs(9)
    assert (found.status, found.stored, found.failed, found.requests) == ("running", 1, 1, 4)


async def test_a_log_that_was_set_back_is_not_followed_past_what_came_instead(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    for turn in range(3):
        await append(pool, answer(await reserved(pool, "IBM"), turn, {"Symbol": "IBM", "EPS": str(turn)}))
    await follow(database, pool)
    with psycopg.connect(fleet_url, autocommit=True) as db:  # as a snapshot of the server's disk would
        db.execute("DELETE FROM fleet.log WHERE seq > 1")
        db.execute("UPDATE fleet.log_head SET seq = 1")

    with pytest.raises(SetBack, match=r"entry 1, .* up to 3"):
        await follow(database, pool)


class _Interrupted:
    """A pool with which something else happens after each statement about the head of the log."""

    def __init__(self, pool: Pool, happens: Callable[[], object]) -> None:
        self._pool = pool
        self._happens = happens
        self.conninfo = pool.conninfo

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with self._pool.connection() as db:
            execute = db.execute

            async def then_interrupted(query: Any, values: Any = None) -> psycopg.AsyncCursor[Any]:
                found = await execute(query, values)
                if "log_head" in str(query):
                    self._happens()
                return found

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(db, "execute", then_interrupted)
                yield db


def _interrupted(pool: Pool, happens: Callable[[], object]) -> Pool:
    return cast("Pool", _Interrupted(pool, happens))


def _take_over(url: str) -> None:
    """Leave the fleet as on a standby that took over without the last entries, of which it had one."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DELETE FROM fleet.log WHERE seq > 1")
        db.execute("UPDATE fleet.log_head SET seq = 1")
        db.execute("CREATE OR REPLACE FUNCTION fleet.timeline() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 2'")


async def test_a_takeover_that_is_noted_during_a_look_is_not_a_server_that_was_set_back(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    for turn in range(3):
        await append(pool, answer(await reserved(pool, "IBM"), turn, {"Symbol": "IBM", "EPS": str(turn)}))
    await follow(database, pool)
    _take_over(fleet_url)

    await follow(database, _interrupted(pool, lambda: rows(fleet_url, "SELECT fleet.notice_takeover()")))

    assert rows(fleet_url, "SELECT timeline, first_seq FROM fleet.timelines ORDER BY 1") == [(1, 1), (2, 2)]
    await append(pool, answer(await reserved(pool, "PEP"), 4, {"Symbol": "PEP"}, symbol="PEP"))
    assert (await follow(database, pool)).cursor.timeline == 2
    assert [row[0] for row in content(database)["snapshots"]].count("PEP") == 1


async def test_a_takeover_between_a_look_and_the_entries_is_no_missing_entry(
    database: Path, fleet_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    for turn in range(3):
        await append(pool, answer(await reserved(pool, "IBM"), turn, {"Symbol": "IBM", "EPS": str(turn)}))

    followed_so_far = await follow(database, _interrupted(pool, lambda: _take_over(fleet_url)))

    assert (followed_so_far.cursor.timeline, followed_so_far.cursor.seq) == (1, 1)
    await append(pool, answer(await reserved(pool, "PEP"), 4, {"Symbol": "PEP"}, symbol="PEP"))
    assert (await follow(database, pool)).cursor.timeline == 2
    assert [row[0] for row in content(database)["snapshots"]] == ["IBM", "PEP"]


async def test_a_fleet_that_takes_the_place_of_another_while_it_is_followed_is_not_mixed_with_it(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    await append(pool, answer(await reserved(pool, "IBM"), 1, {"Symbol": "IBM"}))
    async with open_follower(database, pool, clock=ManualClock().as_clock()) as follower:
        await follower.catch_up()
        await fetch(pool, "UPDATE fleet.about SET id = gen_random_uuid()")  # as if the URL led elsewhere
        await append(pool, answer(await reserved(pool, "PEP"), 2, {"Symbol": "PEP"}, symbol="PEP"))

        with pytest.raises(Unfollowable, match="another fleet"):
            await follower.catch_up()

    assert [row[0] for row in content(database)["snapshots"]] == ["IBM"]


async def test_the_last_run_before_a_place_is_found_however_many_answers_came_since(pool: Pool) -> None:
    await fetch(
        pool,
        "INSERT INTO fleet.log (seq, kind, at, run_id)"
        " SELECT n, CASE WHEN mod(n, 1000) = 0 THEN 'run' ELSE 'answer' END, now(), n"
        " FROM generate_series(1, 5000) AS n",
    )
    await fetch(pool, "ANALYZE fleet.log")
    plan = await fetch(pool, f"EXPLAIN {module._LAST_RUN}", 4500)
    assert "log_runs" in str(plan)
    assert await fetch(pool, module._LAST_RUN, 4500) == [(4000,)]


async def test_a_fleet_without_the_row_that_says_where_its_log_ends_is_one_line(database: Path, fleet_url: str) -> None:
    async with open_pool(fleet_url) as pool:
        await fetch(pool, "DELETE FROM fleet.log_head")
        with pytest.raises(LogError, match="lack a row"):
            await follow(database, pool)
    with connected(fleet_url) as db, pytest.raises(Trouble, match="lack a row"):
        read_state(db)
