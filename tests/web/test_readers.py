"""Readers: a few questions at a time, each for a time; and whatever becomes of the file, the next one finds out."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.query.history import History
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.time_limit import TooSlow
from pipeline.web.readers import Readers
from pipeline.web.refusals import Busy
from tests.support.observations import AFTER_ALL, database_of, seen, store_observations
from tests.support.rights import open_to_all, read_only

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=20)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(database_of([seen(0, PERatio="10")]), tmp_path / "overviews.db"))


@pytest.fixture(scope="module")
def other() -> Path:
    return database_of([seen(0, "PEP", PERatio="20")])


@asynccontextmanager
async def opened(
    database: Path, threads: int = 1, most_waiting: int = 8, within: timedelta = LONG, wait_within: timedelta = LONG
) -> AsyncIterator[Readers]:
    readers = Readers(database, threads=threads, most_waiting=most_waiting, within=within, wait_within=wait_within)
    try:
        async with asyncio.timeout(30):
            yield readers
    finally:
        await readers.close()


def symbols(history: History) -> list[str]:
    return history.symbols()


def endless(history: History) -> None:
    history._db.execute(ENDLESS).fetchone()


async def test_one_that_takes_too_long_is_stopped(database: Path) -> None:
    async with opened(database, within=SHORT) as readers:
        with pytest.raises(TooSlow):
            await readers.ask(AFTER_ALL, endless)
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]


@pytest.fixture
def shared(database: Path) -> Iterator[Path]:
    """Return a database in a folder that any user can reach."""
    with open_to_all() as folder:
        yield Path(shutil.copy(database, folder / "overviews.db"))


async def test_a_file_that_is_read_without_locks_is_opened_again_once_it_was_written_to(shared: Path) -> None:
    async with opened(shared) as readers:
        with read_only(shared.parent):
            assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]
            version = readers.version()
        shared.chmod(0o600)
        with closing(sqlite3.connect(shared)) as held:  # so that what is written next stays in the log
            held.execute("SELECT count(*) FROM symbols").fetchone()
            await store_observations(shared, [seen(1, "PEP", PERatio="20")])
            with read_only(shared.parent):
                assert await readers.ask(AFTER_ALL, symbols) == ["IBM", "PEP"]
                assert None is not readers.version() != version


async def test_a_question_during_which_such_a_file_was_written_to_is_asked_again(shared: Path) -> None:
    begins, is_written = threading.Event(), threading.Event()

    def twice(history: History) -> tuple[list[str], list[str]]:
        before = symbols(history)
        begins.set()
        is_written.wait(30)
        return before, symbols(history)

    async with opened(shared) as readers:
        with read_only(shared.parent):
            asked = asyncio.create_task(readers.ask(AFTER_ALL, twice))
            await asyncio.to_thread(begins.wait, 30)
        shared.chmod(0o600)
        await store_observations(shared, [seen(1, "PEP", PERatio="20")])
        is_written.set()

        assert await asked == (["IBM", "PEP"], ["IBM", "PEP"])


async def test_one_whose_caller_goes_away_is_stopped(database: Path) -> None:
    begins = threading.Event()

    def begun(history: History) -> None:
        begins.set()
        endless(history)

    async with opened(database) as readers:
        asked = asyncio.create_task(readers.ask(AFTER_ALL, begun))
        await asyncio.to_thread(begins.wait, 30)
        asked.cancel()
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]  # by the only thread


async def test_more_than_may_wait_are_refused_at_once_and_those_who_wait_too_long(database: Path) -> None:
    async with opened(database, most_waiting=2) as readers:
        first, *waiting = (asyncio.create_task(readers.ask(AFTER_ALL, endless)) for _ in range(3))
        while readers._waiting < 2:
            await asyncio.sleep(0)
        with pytest.raises(Busy):
            await readers.ask(AFTER_ALL, symbols)
        for task in (first, *waiting):
            task.cancel()
        await asyncio.wait((first, *waiting))
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]
    async with opened(database, wait_within=SHORT) as readers:
        first = asyncio.create_task(readers.ask(AFTER_ALL, endless))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await readers.ask(AFTER_ALL, symbols)
        first.cancel()


async def test_a_question_never_sees_the_horizon_of_another(database: Path) -> None:
    before = AFTER_ALL - timedelta(days=10_000)
    async with opened(database, threads=2, most_waiting=60) as readers:
        asked = [readers.ask(at, symbols) for at in (AFTER_ALL, before) * 20]
        assert await asyncio.gather(*asked) == [["IBM"], []] * 20


async def test_a_database_that_appears_is_replaced_or_vanishes_is_found_out(
    tmp_path: Path, database: Path, other: Path
) -> None:
    path = tmp_path / "served.db"
    async with opened(path) as readers:
        with pytest.raises(NoData):
            await readers.ask(AFTER_ALL, symbols)
        shutil.copy(database, path)
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]
        shutil.copy(other, tmp_path / "new.db")
        (tmp_path / "new.db").replace(path)
        assert await readers.ask(AFTER_ALL, symbols) == ["PEP"]
        path.unlink()
        with pytest.raises(NoData):
            await readers.ask(AFTER_ALL, symbols)


async def test_a_database_that_becomes_a_link_to_itself_is_an_error_of_the_database(database: Path) -> None:
    async with opened(database) as readers:
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]
        database.unlink()
        database.symlink_to(database)
        with pytest.raises(DatabaseError, match=r"overviews\.db"):
            await readers.ask(AFTER_ALL, symbols)


async def test_a_newer_schema_is_refused_from_the_next_question_on(database: Path) -> None:
    async with opened(database) as readers:
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            db.executescript(f"BEGIN; CREATE TABLE further (a); PRAGMA user_version = {version + 1}; COMMIT")
        with pytest.raises(DatabaseError, match="newer"):
            await readers.ask(AFTER_ALL, symbols)
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.executescript(f"BEGIN; DROP TABLE further; PRAGMA user_version = {version}; COMMIT")
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]


async def test_an_error_of_sqlites_own_is_one_of_the_database(database: Path) -> None:
    async with opened(database) as readers:
        with pytest.raises(DatabaseError, match=r"overviews\.db"):
            await readers.ask(AFTER_ALL, lambda history: history._db.execute("SELECT nothing FROM nowhere"))
        assert await readers.ask(AFTER_ALL, symbols) == ["IBM"]


async def test_closing_stops_what_is_under_way(database: Path) -> None:
    readers = Readers(database, threads=2, within=LONG)
    asked = [asyncio.create_task(readers.ask(AFTER_ALL, endless)) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await readers.close()
        await asyncio.wait(asked[:2])
    assert [type(one.exception()) for one in asked[:2]] == [TooSlow, TooSlow]
    asked[2].cancel()


async def test_while_the_process_has_other_work_a_thread_rests_as_long_as_it_worked(database: Path) -> None:
    begun, ended = [], []

    def worked(history: History) -> None:
        begun.append(time.monotonic())
        with suppress(sqlite3.Error):
            endless(history)
        ended.append(time.monotonic())

    readers = Readers(database, threads=1, within=SHORT, is_busy=lambda: True)
    async with asyncio.timeout(30):
        await readers.ask(AFTER_ALL, worked)
        await readers.ask(AFTER_ALL, worked)
        await readers.close()
    assert begun[1] - ended[0] >= ended[0] - begun[0]


async def test_no_memory_is_mapped_to_the_file_as_a_failing_disk_would_kill_the_process(database: Path) -> None:
    async with opened(database) as readers:
        assert await readers.ask(AFTER_ALL, mapped) == 0


def mapped(history: History) -> int:
    list(history.panel(["pe_ratio"]))  # which maps it again at its end, if it was before
    (size,) = history._db.execute("PRAGMA mmap_size").fetchone()
    return int(size)
