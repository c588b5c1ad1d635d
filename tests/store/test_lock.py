"""The lock: one at a time, the next one waits and is told for whom."""

import asyncio
import os
import threading
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.store.lock import Busy, hold_daemon_lock, hold_lock, is_daemon_running, lock_path
from tests.support.clocks import START, ManualClock


def locked(
    database: Path, hands: ManualClock, told: list[str], seconds: float = 60
) -> AbstractAsyncContextManager[None]:
    return hold_lock(
        database,
        "collect",
        max_wait=timedelta(seconds=seconds),
        now=lambda: hands.wall,
        sleep=hands.sleep,
        on_wait=told.append,
    )


async def test_the_second_is_told_who_holds_it_and_leaves_when_its_patience_ends(
    tmp_path: Path, hands: ManualClock
) -> None:
    database, told = tmp_path / "overviews.db", list[str]()
    async with locked(database, hands, told):
        with pytest.raises(Busy, match=rf"collect, process {os.getpid()}, since 2026-03-14"):
            async with locked(database, hands, told, seconds=3):
                pass
    assert sum(hands.waits) == pytest.approx(3)
    assert len(told) == 1
    assert "waiting up to 3 s for collect" in told[0]


async def test_a_second_daemon_is_refused_and_the_first_one_named(database: Path) -> None:
    with (
        hold_daemon_lock(database, now=START),
        pytest.raises(Busy, match=rf"another daemon runs .*: run, process {os.getpid()}, since 2026-03-14"),
        hold_daemon_lock(database, now=START),
    ):
        pass


async def test_the_second_goes_on_when_the_first_has_ended(tmp_path: Path, hands: ManualClock) -> None:
    database, told, order = tmp_path / "overviews.db", list[str](), list[str]()
    is_waiting = asyncio.Event()

    async def tick(seconds: float) -> None:
        is_waiting.set()
        await hands.sleep(seconds)

    async def second() -> None:
        async with hold_lock(
            database,
            "collect",
            max_wait=timedelta(seconds=60),
            now=lambda: hands.wall,
            sleep=tick,
            on_wait=told.append,
        ):
            order.append("second")

    async with locked(database, hands, told):
        waiting = asyncio.create_task(second())
        await is_waiting.wait()
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_database_has_one_lock_by_whatever_link_it_is_reached(tmp_path: Path, hands: ManualClock) -> None:
    (tmp_path / "overviews.db").touch()
    (tmp_path / "link.db").symlink_to("overviews.db")
    async with locked(tmp_path / "overviews.db", hands, []):
        with pytest.raises(Busy):
            async with locked(tmp_path / "link.db", hands, [], seconds=0):
                pass


async def test_without_patience_it_is_asked_once(tmp_path: Path, hands: ManualClock) -> None:
    database, told = tmp_path / "overviews.db", list[str]()
    async with locked(database, hands, told):
        with pytest.raises(Busy):
            async with locked(database, hands, told, seconds=0):
                pass
    assert hands.waits == []
    assert told == []


async def test_the_lock_file_stays_and_is_its_owners_alone(tmp_path: Path, hands: ManualClock) -> None:
    database = tmp_path / "new" / "overviews.db"
    async with locked(database, hands, []):
        pass
    assert lock_path(database).read_bytes() == b""
    assert lock_path(database).stat().st_mode & 0o777 == 0o600


def test_whether_a_daemon_lives_is_told_by_its_lock(database: Path) -> None:
    assert is_daemon_running(database)  # none ever was: its last word decides
    with hold_daemon_lock(database, now=START):
        assert is_daemon_running(database)
    assert not is_daemon_running(database)


def test_whoever_looks_at_a_daemon_does_not_keep_one_from_starting(database: Path) -> None:
    with hold_daemon_lock(database, now=START):
        pass
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            is_daemon_running(database)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(300):
            with hold_daemon_lock(database, now=START):
                pass
    finally:
        is_over.set()
        looker.join()
