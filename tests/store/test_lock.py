"""Locks: one process at a time; the next one waits, and knows for whom."""

import asyncio
import fcntl
import os
import threading
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.outcomes import Trigger
from pipeline.store.database import DatabaseError, LockLost
from pipeline.store.lock import (
    Busy,
    daemon_lock_path,
    hold_daemon_lock,
    hold_lock,
    is_daemon_running,
    keep_daemon_lock,
    lock_path,
)
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import START, ManualClock
from tests.support.privileges import bound_by_modes


def locked(
    database: Path, clock: ManualClock, lines: list[str], seconds: float = 60
) -> AbstractAsyncContextManager[None]:
    return hold_lock(
        database,
        "collect",
        max_wait=timedelta(seconds=seconds),
        now=lambda: clock.wall,
        sleep=clock.sleep,
        on_wait=lines.append,
    )


async def test_the_second_names_the_holder_and_gives_up_after_its_longest_wait(
    tmp_path: Path, clock: ManualClock
) -> None:
    database, lines = tmp_path / "overviews.db", list[str]()
    async with locked(database, clock, lines):
        with pytest.raises(Busy, match=rf"collect, process {os.getpid()}, since 2026-03-14"):
            async with locked(database, clock, lines, seconds=3):
                pass
    assert sum(clock.waits) == pytest.approx(3)
    assert len(lines) == 1
    assert "waiting up to 3 s for collect" in lines[0]


async def test_a_second_daemon_is_refused_and_the_first_one_named(database: Path) -> None:
    with (
        hold_daemon_lock(database, now=START),
        pytest.raises(Busy, match=rf"another daemon runs .*: run, process {os.getpid()}, since 2026-03-14"),
        hold_daemon_lock(database, now=START),
    ):
        pass


async def test_the_second_continues_when_the_first_has_ended(tmp_path: Path, clock: ManualClock) -> None:
    database, lines, order = tmp_path / "overviews.db", list[str](), list[str]()
    is_waiting = asyncio.Event()

    async def tick(seconds: float) -> None:
        is_waiting.set()
        await clock.sleep(seconds)

    async def second() -> None:
        async with hold_lock(
            database,
            "collect",
            max_wait=timedelta(seconds=60),
            now=lambda: clock.wall,
            sleep=tick,
            on_wait=lines.append,
        ):
            order.append("second")

    async with locked(database, clock, lines):
        waiting = asyncio.create_task(second())
        await is_waiting.wait()
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_database_has_one_lock_by_any_link_to_it(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "overviews.db").touch()
    (tmp_path / "link.db").symlink_to("overviews.db")
    async with locked(tmp_path / "overviews.db", clock, []):
        with pytest.raises(Busy):
            async with locked(tmp_path / "link.db", clock, [], seconds=0):
                pass


async def test_without_a_wait_the_lock_is_tried_once(tmp_path: Path, clock: ManualClock) -> None:
    database, lines = tmp_path / "overviews.db", list[str]()
    async with locked(database, clock, lines):
        with pytest.raises(Busy):
            async with locked(database, clock, lines, seconds=0):
                pass
    assert clock.waits == []
    assert lines == []


async def test_the_lock_file_stays_and_is_private(tmp_path: Path, clock: ManualClock) -> None:
    database = tmp_path / "new" / "overviews.db"
    async with locked(database, clock, []):
        pass
    assert lock_path(database).read_bytes() == b""
    assert lock_path(database).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("taking", ["removed", "replaced", "moved away"])
async def test_a_process_that_waits_takes_the_lock_that_others_find(
    tmp_path: Path, clock: ManualClock, taking: str
) -> None:
    """The file was taken away while another process held its lock: what is locked then would stop nobody else."""
    database = tmp_path / "overviews.db"
    async with AsyncExitStack() as first:
        await first.enter_async_context(locked(database, clock, []))

        async def take_away(_seconds: float) -> None:
            lock_path(database).rename(tmp_path / "elsewhere")
            if taking == "removed":
                (tmp_path / "elsewhere").unlink()
            if taking == "replaced":
                lock_path(database).touch()
            await first.aclose()

        second = hold_lock(
            database,
            "collect",
            max_wait=timedelta(seconds=60),
            now=lambda: clock.wall,
            sleep=take_away,
            on_wait=lambda _line: None,
        )
        async with second:
            with pytest.raises(Busy):
                async with locked(database, clock, [], seconds=0):
                    pass


async def test_a_writer_whose_lock_was_taken_away_writes_nothing_more(database: Path, clock: ManualClock) -> None:
    async with locked(database, clock, []), open_writer(database) as writer:
        store = Store(writer)
        await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        lock_path(database).unlink()
        lock_path(database).touch()  # as another process would
        for _ in range(2):
            with pytest.raises(LockLost, match=r"overviews\.db\.lock was removed or replaced"):
                await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
    with Reader.open(database) as reader:
        assert len(reader.runs(5)) == 1


def test_a_daemon_locks_again_when_its_lock_was_removed(database: Path) -> None:
    with hold_daemon_lock(database, now=START):
        daemon_lock_path(database).unlink()
        keep_daemon_lock(database, now=START)
        assert b"run" in daemon_lock_path(database).read_bytes()
        with pytest.raises(Busy), hold_daemon_lock(database, now=START):
            pass
    keep_daemon_lock(database, now=START)  # nothing is held any more
    with hold_daemon_lock(database, now=START):
        pass


def test_a_daemon_whose_lock_another_has_names_it(database: Path) -> None:
    with hold_daemon_lock(database, now=START):
        daemon_lock_path(database).unlink()
        with daemon_lock_path(database).open("w") as other:
            other.write('{"pid": 12345, "purpose": "run", "since": "2026-03-14"}')
            other.flush()
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(Busy, match="another daemon runs on this database: run, process 12345"):
                keep_daemon_lock(database, now=START)


@pytest.mark.parametrize("daemon", [False, True])
def test_a_link_at_the_locks_name_is_not_followed(database: Path, tmp_path: Path, *, daemon: bool) -> None:
    victim = tmp_path / "of somebody else"
    victim.write_text("precious")
    name = daemon_lock_path if daemon else lock_path
    name(database).symlink_to(victim)

    with pytest.raises(DatabaseError, match="is a link, which is not followed"):
        _hold_as_daemon(database) if daemon else asyncio.run(_hold(database))

    assert victim.read_text() == "precious"


def test_what_is_no_file_at_the_locks_name_is_refused(database: Path) -> None:
    os.mkfifo(lock_path(database))
    with pytest.raises(DatabaseError, match="is not a regular file"):
        asyncio.run(_hold(database))


def test_a_daemon_runs_as_long_as_its_lock_is_held(database: Path) -> None:
    assert is_daemon_running(database)  # there was never one: the heartbeat decides
    with hold_daemon_lock(database, now=START):
        assert is_daemon_running(database)
    assert not is_daemon_running(database)


def test_checking_for_a_daemon_does_not_keep_one_from_starting(database: Path) -> None:
    with hold_daemon_lock(database, now=START):
        pass
    is_over = threading.Event()

    def check() -> None:
        while not is_over.is_set():
            is_daemon_running(database)

    checker = threading.Thread(target=check)
    checker.start()
    try:
        for _ in range(300):
            with hold_daemon_lock(database, now=START):
                pass
    finally:
        is_over.set()
        checker.join()


def test_a_lock_that_may_not_be_written_points_to_the_doctor(database: Path) -> None:
    lock_path(database).touch()
    lock_path(database).chmod(0o400)

    with bound_by_modes(), pytest.raises(DatabaseError) as caught:
        asyncio.run(_hold(database))

    assert "cannot be written: permission denied" in str(caught.value)
    assert "pipeline doctor" in str(caught.value.remedy)


async def _hold(database: Path) -> None:
    async with locked(database, ManualClock(), []):
        pass


def _hold_as_daemon(database: Path) -> None:
    with hold_daemon_lock(database, now=START):
        pass
