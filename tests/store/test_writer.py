"""The writer: one transaction a batch, whole or not at all, whatever callers and disks do."""

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiosqlite import Connection

from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.store.database import DatabaseError, RecordGone, StorageError, beside, connect
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.writer import PAUSES, open_writer
from tests.support.clocks import START, ManualClock


async def insert(db: Connection, texts: Sequence[str]) -> Sequence[str]:
    await db.executemany("INSERT INTO looks (symbol, at) VALUES (?, '')", [(text,) for text in texts])
    return texts


def inserted(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [row[0] for row in db.execute("SELECT symbol FROM looks ORDER BY symbol")]


def limited_to(pages: int) -> Any:
    """A write after which the file may have that many pages only: a disk that fills up."""

    async def limit(db: Connection, items: Sequence[None]) -> Sequence[None]:
        await db.execute(f"PRAGMA max_page_count = {pages}")
        return items

    return limit


async def test_a_write_is_answered_once_it_is_durable(database: Path) -> None:
    async with open_writer(database) as writer:
        assert await writer.write(insert, "IBM") == "IBM"
        assert inserted(database) == ["IBM"]


async def test_what_was_posted_is_written_though_nobody_waits(database: Path) -> None:
    async with open_writer(database) as writer:
        for number in range(100):
            writer.post(insert, f"S{number:03}")
    assert len(inserted(database)) == 100


async def test_writes_that_arrive_meanwhile_share_the_next_commit(database: Path) -> None:
    batches: list[int] = []

    async def counted(db: Connection, texts: Sequence[str]) -> Sequence[str]:
        batches.append(len(texts))
        return await insert(db, texts)

    async with open_writer(database) as writer:
        await asyncio.gather(*(writer.write(counted, f"S{number:03}") for number in range(200)))
    assert sum(batches) == 200
    assert len(batches) <= 3


async def test_callers_may_be_cancelled_at_any_moment(database: Path) -> None:
    async with open_writer(database) as writer:
        for number in range(300):
            writing = asyncio.create_task(writer.write(insert, f"S{number:03}"))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            writing.cancel()
        await writer.write(insert, "last")
    found = inserted(database)
    assert "last" in found
    assert len(found) == len(set(found))


async def test_a_batch_is_written_whole_or_not_at_all(database: Path) -> None:
    async def broken(db: Connection, items: Sequence[None]) -> Sequence[None]:
        await db.execute("INSERT INTO")
        return items

    async with open_writer(database) as writer:
        good = asyncio.create_task(writer.write(insert, "IBM"))
        bad = asyncio.create_task(writer.write(broken, None))
        with pytest.raises(sqlite3.OperationalError):
            await bad
        with pytest.raises(sqlite3.OperationalError):
            await good
        assert inserted(database) == []
        assert await writer.write(insert, "PEP") == "PEP"


async def test_another_programs_lock_is_waited_out(database: Path, clock: ManualClock) -> None:
    lines: list[str] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def release(seconds: float) -> None:
            await clock.sleep(seconds)
            other.execute("COMMIT")

        async with open_writer(database, sleep=release, on_retry=lines.append) as writer:
            await writer.write(insert, "IBM")
    assert inserted(database) == ["IBM"]
    assert clock.waits == [PAUSES[0].total_seconds()]
    assert "locked by another program" in lines[0]


async def test_a_full_disk_is_waited_out_and_everything_posted_is_stored(database: Path, clock: ManualClock) -> None:
    texts = [f"S{number:05}" * 40 for number in range(400)]
    room = [1]

    async def on_a_small_disk(db: Connection, items: Sequence[str]) -> Sequence[str]:
        await db.execute(f"PRAGMA max_page_count = {room[0]}")
        return await insert(db, items)

    async def freed(seconds: float) -> None:
        await clock.sleep(seconds)
        room[0] = 100_000

    async with open_writer(database, sleep=freed) as writer:
        await asyncio.gather(*(writer.write(on_a_small_disk, text) for text in texts))
    assert inserted(database) == texts
    assert clock.waits == [PAUSES[0].total_seconds()]


async def test_a_disk_that_stays_full_ends_it_in_bounded_time_with_one_line(database: Path, clock: ManualClock) -> None:
    async with open_writer(database, sleep=clock.sleep) as writer:
        await writer.write(limited_to(1), None)
        with pytest.raises(StorageError, match=r"overviews\.db: the disk is full; free some space"):
            await asyncio.gather(*(writer.write(insert, f"S{number:05}" * 40) for number in range(400)))
        with pytest.raises(StorageError):
            await writer.write(insert, "later")
    assert clock.waits == [pause.total_seconds() for pause in PAUSES]
    assert sum(clock.waits) < 60


async def test_a_bug_reaches_every_caller_and_nobody_waits_for_good(database: Path, clock: ManualClock) -> None:
    async def faulty(_db: Connection, _items: Sequence[str]) -> Sequence[str]:
        raise KeyError

    async def everything() -> None:
        async with open_writer(database, sleep=clock.sleep) as writer, asyncio.timeout(30):
            writes = [asyncio.create_task(writer.write(apply, "x")) for apply in (insert, faulty)]
            results = await asyncio.gather(*writes, return_exceptions=True)
            assert {type(result) for result in results} == {KeyError}
            with pytest.raises(KeyError):
                await writer.write(insert, "later")

    with pytest.raises(KeyError):
        await everything()
    assert inserted(database) == []


def test_commits_are_synced_on_every_connection_whatever_sqlite_does_by_default(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect

    def built_otherwise(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = real(*arguments, **options)
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    monkeypatch.setattr(sqlite3, "connect", built_otherwise)
    with connect(database, "rw") as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_nothing_is_written_where_a_power_cut_could_lose_the_log(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DatabaseError, match=r"cannot be synced: input/output error"):
        async with open_writer(database):
            pass


async def test_durability_is_set_and_read_back(database: Path) -> None:
    found: list[object] = []

    async def pragmas(db: Connection, items: Sequence[None]) -> Sequence[None]:
        for name in ("journal_mode", "synchronous"):
            async with db.execute(f"PRAGMA {name}") as cursor:
                found.extend(await cursor.fetchone() or ())
        return items

    async with open_writer(database) as writer:
        await writer.write(pragmas, None)
    assert found == ["wal", 2]


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"absent\.db: cannot be opened"):
        async with open_writer(tmp_path / "absent.db"):
            pass


async def test_a_run_is_begun_and_finished_through_it(database: Path) -> None:
    async with open_writer(database) as writer:
        run = await Store(writer).begin(Trigger.MANUAL, at=START, symbols=0, due=0)
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT id, status FROM runs").fetchall() == [(run, RunStatus.RUNNING)]


async def test_the_store_check_of_a_run_that_has_just_ended_is_answered(database: Path) -> None:
    """A write that a writer takes after its end would never be answered, and the daemon be unhealthy for good."""
    async with open_writer(database) as writer:
        store = Store(writer)
    async with asyncio.timeout(30):
        with pytest.raises(StorageError, match=r"overviews\.db: closed"):
            await store.ping()


async def test_what_is_committed_to_a_removed_file_is_not_acknowledged(database: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(insert, "IBM")
        database.unlink()

        for _ in range(2):
            with pytest.raises(RecordGone, match="is gone"):
                await writer.write(insert, "PEP")


async def test_what_is_committed_to_a_file_that_was_replaced_is_not_acknowledged(database: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(insert, "IBM")
        shutil.copy(database, database.with_name("other.db"))
        database.with_name("other.db").replace(database)

        with pytest.raises(StorageError, match="was replaced while it was written to"):
            await writer.write(insert, "PEP")


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_what_is_committed_to_a_log_that_others_do_not_see_is_not_acknowledged(
    database: Path, is_replaced: bool
) -> None:
    log = beside(database, "-wal")
    async with open_writer(database) as writer:
        await writer.write(insert, "IBM")
        log.unlink()
        if is_replaced:
            log.touch()

        for _ in range(2):
            with pytest.raises(StorageError, match=r"-wal was removed or replaced while it was written to"):
                await writer.write(insert, "PEP")


async def test_a_file_with_two_names_is_not_opened_for_writing(database: Path, tmp_path: Path) -> None:
    """SQLite keeps a log for each name, and this program a lock: two processes would not see each other."""
    other = tmp_path / "other" / "name.db"
    other.parent.mkdir()
    os.link(database, other)

    for name in (database, other):
        with pytest.raises(DatabaseError, match=r"has 2 names \(hard links\).*find -inum"):
            async with open_writer(name):
                pass

    with Reader.open(other) as reader:
        assert reader.runs(1) == []
    other.unlink()
    async with open_writer(database):
        pass


async def test_a_table_or_column_that_the_file_lacks_is_named_with_the_remedy(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.executescript("DROP TABLE looks; CREATE TABLE looks (symbol TEXT)")
    async with open_writer(database) as writer:
        with pytest.raises(DatabaseError, match=rf"{database}: table looks has no column named at; restore a backup"):
            await writer.write(insert, "IBM")
    with closing(sqlite3.connect(database)) as db:
        db.execute("DROP TABLE looks")
    async with open_writer(database) as writer:
        with pytest.raises(DatabaseError, match=rf"{database}: no such table: looks; restore a backup"):
            await writer.write(insert, "IBM")
