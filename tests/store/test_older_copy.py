"""An older copy that somebody puts in the database's place is noticed: what was requested since is not known."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.outcomes import RunId, RunStatus
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger import GRACE
from pipeline.quota.stored import quotas_named
from pipeline.sandbox.server import SandboxApi
from pipeline.store.backup import backup
from pipeline.store.blocks import block_requests, ledger_block
from pipeline.store.database import connect
from pipeline.store.marker import Marker, marker_path, read_marker, write_marker
from pipeline.store.migrate import migrate
from pipeline.store.older_copy import LEDGER_BEHIND, is_behind, note_begun
from pipeline.store.reader import Reader
from pipeline.store.record import Begin, prepare
from pipeline.store.restore import restore
from tests.support.clocks import START, ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import rows
from tests.support.runs import Runs, limits
from tests.support.sandbox import Served

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PLAN = limits("25/day")


@pytest.fixture
def runs(database: Path, served: Served, clock: ManualClock) -> Runs:
    return Runs(database, served, clock)


def by_backup(database: Path, copy: Path) -> None:
    backup(database, copy, now=START)


def plainly(database: Path, copy: Path) -> None:
    """Copy the file as `cp` would while nothing is written: it stays in WAL mode."""
    by_backup(database, copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA journal_mode = WAL")


def put_back(copy: Path, database: Path) -> None:
    """Copy it over the database, as people do, with what is beside it removed."""
    for suffix in ("", "-wal", "-shm"):
        part = copy.with_name(f"{copy.name}{suffix}")
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
        if part.exists():
            shutil.copy(part, database.with_name(f"{database.name}{suffix}"))


def block_reasons(database: Path, *plan: str, now: ManualClock) -> list[str | None]:
    with Reader.open(database) as reader:
        blocks = [one.state.block for one in quotas_named(reader, [KeyPlan("", limits(*plan))], now=now.wall)]
    return [block.reason for block in blocks if block is not None and block.until > now.wall]


async def run_with_copy(database: Path, clock: ManualClock, copying: Callable[[Path, Path], None], copy: Path) -> None:
    """Do a run of five requests, and copy the database after the second."""

    async def look(_seconds: float) -> None:
        if api.requests == 3:
            copying(database, copy)

    api = SandboxApi(companies=COMPANIES, limits=(), day=START.date, latency=DAY, wall=lambda: clock.wall, sleep=look)
    async with api.serve() as base_url:
        await Runs(database, Served(api, base_url), clock).collect(5, limits=PLAN)


@pytest.mark.parametrize("copying", [plainly, by_backup])
async def test_a_copy_from_before_the_last_run_blocks_for_the_longest_window(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock, copying: Callable[[Path, Path], None]
) -> None:
    await runs.collect(1, limits=PLAN)
    copying(database, tmp_path / "copy.db")
    await runs.collect(3, limits=PLAN)
    put_back(tmp_path / "copy.db", database)

    prepare(database, Begin.FIRST, longest_window=DAY, now=clock.wall)

    summary = await runs.collect(3, limits=PLAN)
    assert summary.status is RunStatus.QUOTA_EXHAUSTED
    assert LEDGER_BEHIND in (summary.detail or "")
    assert runs.served.api.requests == 4
    clock.advance(DAY + timedelta(seconds=2))
    assert (await runs.collect(3, limits=PLAN)).status is RunStatus.COMPLETE


@pytest.mark.parametrize("window", [DAY, timedelta(minutes=1)])
async def test_if_the_plan_is_changed_then_it_blocks_for_the_longest_window_of_the_new_one(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock, window: timedelta
) -> None:
    """By a plan per minute requests leave soon; by one per day those that are not known count until a day later."""
    plainly(database, tmp_path / "copy.db")
    await runs.collect(4, limits=PLAN)
    put_back(tmp_path / "copy.db", database)
    prepare(database, Begin.FIRST, longest_window=window, now=clock.wall)

    clock.advance(timedelta(seconds=62))
    assert (await runs.collect(2, limits=limits("75/minute"))).status is RunStatus.COMPLETE
    assert LEDGER_BEHIND in str((await runs.collect(2, limits=PLAN)).detail)
    clock.advance(DAY - timedelta(seconds=61))
    assert (await runs.collect(2, limits=PLAN)).status is RunStatus.COMPLETE
    clock.advance(3 * DAY)
    await runs.collect(1, limits=PLAN)
    assert rows(database, "SELECT * FROM blocked") == []


def test_a_later_block_holds_though_the_plan_of_an_earlier_one_had_longer_windows(
    database: Path, clock: ManualClock
) -> None:
    for window in (DAY, timedelta(minutes=1)):
        with connect(database, "rw") as db:
            block_requests(db, ledger_block(LEDGER_BEHIND, window, now=clock.wall))
        clock.advance(timedelta(minutes=1) + GRACE)
        assert block_reasons(database, "3/minute", now=clock) == [LEDGER_BEHIND], "the last may still arrive"
        clock.advance(timedelta(minutes=1))
        assert block_reasons(database, "3/minute", now=clock) == []


async def test_it_is_noticed_by_a_run_of_a_daemon_that_was_idle_meanwhile(
    runs: Runs, database: Path, tmp_path: Path
) -> None:
    plainly(database, tmp_path / "copy.db")
    await runs.collect(3, limits=PLAN)
    put_back(tmp_path / "copy.db", database)
    assert (await runs.collect(3, limits=PLAN)).status is RunStatus.QUOTA_EXHAUSTED


@pytest.mark.parametrize("copying", [plainly, by_backup])
async def test_a_copy_made_during_a_run_is_noticed(
    database: Path, tmp_path: Path, clock: ManualClock, copying: Callable[[Path, Path], None]
) -> None:
    await run_with_copy(database, clock, copying, tmp_path / "copy.db")
    put_back(tmp_path / "copy.db", database)
    assert is_behind(database)


async def test_a_backup_made_during_a_run_that_was_then_killed_is_noticed(
    database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    await run_with_copy(database, clock, by_backup, tmp_path / "copy.db")
    note_begun(database, RunId(1))  # as the killed run left it
    put_back(tmp_path / "copy.db", database)

    prepare(database, Begin.FIRST, longest_window=DAY, now=clock.wall)
    assert block_reasons(database, "25/day", now=clock) == [LEDGER_BEHIND]


async def test_another_record_in_its_place_is_noticed(runs: Runs, database: Path, tmp_path: Path) -> None:
    await runs.collect(1, limits=PLAN)
    other = tmp_path / "other.db"
    migrate(other, now=START + HOUR)
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("INSERT INTO runs (id, trigger, status) VALUES (9, 'manual', 'complete')")
    put_back(other, database)
    assert is_behind(database)


async def test_a_plan_without_limits_goes_on_and_one_that_is_configured_next_waits(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    plainly(database, tmp_path / "copy.db")
    await runs.collect(3)
    put_back(tmp_path / "copy.db", database)
    assert (await runs.collect(3)).status is RunStatus.COMPLETE
    assert block_reasons(database, now=clock) == []

    assert (await runs.collect(3, limits=PLAN)).status is RunStatus.QUOTA_EXHAUSTED


async def test_the_same_file_a_moved_one_and_one_that_a_killed_run_left_are_not_taken_for_older(
    database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    killed = tmp_path / "killed" / "overviews.db"
    killed.parent.mkdir()

    def kill(database: Path, copy: Path) -> None:
        plainly(database, copy)
        shutil.copy(marker_path(database), marker_path(copy))

    await run_with_copy(database, clock, kill, killed)

    assert not is_behind(database)
    assert not is_behind(killed)
    prepare(killed, Begin.FIRST, longest_window=DAY, now=clock.wall)
    assert block_reasons(killed, "25/day", now=clock) == []
    by_backup(database, tmp_path / "copy.db")
    put_back(tmp_path / "copy.db", database)  # nothing was requested since it was made
    assert not is_behind(database)


async def test_a_run_that_was_begun_and_requested_nothing_is_no_news(runs: Runs, database: Path) -> None:
    """Killed between the row of a run and the marker."""
    await runs.collect(1, limits=PLAN)
    await runs.collect(0, limits=PLAN)
    marker = read_marker(database)
    assert marker is not None
    assert marker.last_run is not None
    assert (marker.last_run.id, marker.last_run.state) == (1, "ended")
    assert not is_behind(database)


async def test_restoring_it_with_the_command_is_no_reason_to_block_and_what_came_after_is(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    older, copy = tmp_path / "older.db", tmp_path / "copy.db"
    by_backup(database, older)
    await run_with_copy(database, clock, by_backup, copy)
    restore(copy, database, longest_window=DAY, is_idle=False, now=clock.wall)

    prepare(database, Begin.FIRST, longest_window=DAY, now=clock.wall)
    assert block_reasons(database, "25/day", now=clock) == []

    put_back(older, database)
    assert is_behind(database)


async def test_restoring_over_an_older_copy_does_not_trust_its_ledger(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    by_backup(database, tmp_path / "copy.db")
    await runs.collect(3, limits=PLAN)
    put_back(tmp_path / "copy.db", database)

    assert restore(tmp_path / "copy.db", database, longest_window=DAY, is_idle=False, now=clock.wall).blocked_until


async def test_a_new_record_and_invented_data_have_no_last_run(database: Path, runs: Runs, clock: ManualClock) -> None:
    await runs.collect(1, limits=PLAN)
    database.unlink()
    for suffix in ("-wal", "-shm"):
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
    prepare(database, Begin.REPLACE_LOST, longest_window=DAY, now=clock.wall)
    assert not is_behind(database)

    marker_path(database).unlink()
    await runs.collect(1)
    assert read_marker(database) is None


async def test_where_the_disk_has_no_room_for_the_marker_nothing_is_requested(runs: Runs, database: Path) -> None:
    marker_path(database).unlink()
    marker_path(database).mkdir()
    summary = await runs.collect(3, limits=PLAN)
    assert summary.status is RunStatus.FAILED
    assert "overviews.db.record cannot be written" in (summary.detail or "")
    assert "move that folder away" in (summary.detail or "")
    assert runs.served.api.requests == 0


def test_the_marker_is_the_same_for_older_versions(database: Path) -> None:
    write_marker(database, Marker(began_at=START))
    assert b"last_run" not in marker_path(database).read_bytes()
