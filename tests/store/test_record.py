"""The record: begun where there never was one, or when that is asked for; what vanished is not replaced unasked."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.store import reader
from pipeline.store.database import DatabaseError, RecordGone
from pipeline.store.marker import Marker, marker_path, read_marker, write_marker
from pipeline.store.reader import NoData, Reader
from pipeline.store.record import LEDGER_LOST, Begin, RecordExists, prepare
from tests.support.clocks import START

DAY = timedelta(days=1)
ALWAYS = [Begin.FIRST, Begin.NEVER]
"""What a file that vanished must never be replaced with."""


def begins(database: Path, begin: Begin = Begin.FIRST, *, window: timedelta = DAY) -> bool:
    return prepare(database, begin, longest_window=window, now=START)


def add_run(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute(f"INSERT INTO runs (trigger, status) VALUES ('{Trigger.MANUAL}', '{RunStatus.COMPLETE}')")


def block(database: Path) -> object:
    with Reader.open(database) as reader:
        return reader.quota_state(START).block


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Return a record with one run in it."""
    path = tmp_path / "data" / "overviews.db"
    path.parent.mkdir()
    assert begins(path)
    add_run(path)
    return path


def test_a_record_begins_once(record: Path) -> None:
    assert not begins(record)
    assert not begins(record, Begin.NEVER)
    assert read_marker(record) == Marker(began_at=START)
    assert block(record) is None


@pytest.mark.parametrize("begin", ALWAYS)
@pytest.mark.parametrize("vanish", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["removed", "emptied"])
def test_a_vanished_record_is_not_replaced_and_every_command_says_so(
    record: Path, begin: Begin, vanish: object
) -> None:
    vanish(record)  # type: ignore[operator]

    for attempt in (lambda: begins(record, begin), lambda: Reader.open(record).__enter__()):
        with pytest.raises(RecordGone, match=r"overviews\.db is (gone|empty), but .*--new-record") as error:
            attempt()
        assert error.value.exit_code == ExitCode.REFUSED
    assert not record.exists() or record.stat().st_size == 0


@pytest.mark.parametrize("last_look", ["is_present", "read_schema"])
def test_a_record_that_begins_while_a_reader_looks_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_look: str
) -> None:
    database = tmp_path / "overviews.db"
    if last_look == "read_schema":
        database.touch()
    look = getattr(reader, last_look)

    def then_begun(*given: object) -> object:
        found = look(*given)
        begins(database)
        return found

    monkeypatch.setattr(reader, last_look, then_begun)
    with pytest.raises(NoData), Reader.open(database):
        pass
    monkeypatch.undo()
    with Reader.open(database) as opened:
        assert opened.last_run() is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"began_at": 3}', b"[" * 100_000])
def test_a_marker_that_cannot_be_read_still_says_that_there_was_a_record(record: Path, content: bytes) -> None:
    record.unlink()
    marker_path(record).write_bytes(content)

    with pytest.raises(RecordGone):
        begins(record)


def test_a_folder_that_vanished_as_a_whole_is_missed_by_who_had_the_record_open(record: Path) -> None:
    shutil.rmtree(record.parent)

    with pytest.raises(RecordGone):
        begins(record, Begin.NEVER)
    assert not record.exists()


def test_where_the_marker_vanished_too_the_record_that_begins_is_reported(record: Path) -> None:
    shutil.rmtree(record.parent)

    assert begins(record)


def test_a_new_record_in_place_of_a_lost_one_sends_no_request_for_the_longest_window(record: Path) -> None:
    record.unlink()

    assert begins(record, Begin.REPLACE_LOST)
    with Reader.open(record) as reader:
        lost = reader.quota_state(START).block
    assert lost is not None
    assert (lost.since, lost.reason) == (START, LEDGER_LOST)
    assert lost.until >= START + DAY
    assert not begins(record)


def test_a_new_record_that_was_killed_while_it_began_is_completed_with_its_block(record: Path) -> None:
    record.unlink()
    write_marker(record, Marker(lost_at=START - DAY / 2))

    assert begins(record)
    with Reader.open(record) as reader:
        lost = reader.quota_state(START).block
    assert lost is not None
    assert lost.since == START - DAY / 2
    assert read_marker(record) == Marker(began_at=START)


def test_what_is_left_beside_a_lost_record_is_kept(record: Path) -> None:
    record.unlink()
    wal = record.with_name("overviews.db-wal")
    wal.write_bytes(b"the last commits")

    assert begins(record, Begin.REPLACE_LOST)

    (kept,) = record.parent.glob("overviews.db.replaced-*-wal")
    assert kept.read_bytes() == b"the last commits"


def test_a_record_that_is_there_is_not_begun_anew(record: Path) -> None:
    before = record.read_bytes()

    with pytest.raises(RecordExists, match="holds a record") as error:
        begins(record, Begin.REPLACE_LOST)

    assert error.value.exit_code == ExitCode.REFUSED
    assert record.read_bytes() == before
    assert read_marker(record) == Marker(began_at=START)


def test_asking_for_a_new_record_where_there_never_was_one_blocks_nothing(tmp_path: Path) -> None:
    assert begins(tmp_path / "overviews.db", Begin.REPLACE_LOST)
    assert block(tmp_path / "overviews.db") is None


def test_a_record_of_an_earlier_version_or_a_copy_gets_its_marker_when_it_is_written_to(record: Path) -> None:
    marker_path(record).unlink()
    with Reader.open(record):
        pass
    assert read_marker(record) is None  # reading leaves no marker: an analyst's copy stays one file

    assert not begins(record)
    assert read_marker(record) == Marker(began_at=START)


def test_invented_data_is_begun_anew_whenever_there_is_none(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.db"
    for _ in range(2):
        assert not begins(database, Begin.UNMARKED)
        database.unlink()
    assert read_marker(database) is None


def test_invented_data_does_not_replace_a_record_that_vanished(record: Path) -> None:
    record.unlink()

    with pytest.raises(RecordGone):
        begins(record, Begin.UNMARKED)


def test_a_foreign_file_is_neither_marked_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "overviews.db").write_bytes(bytes(range(256)) * 16)

    for begin in (Begin.FIRST, Begin.REPLACE_LOST):
        with pytest.raises(DatabaseError, match="not a database"):
            begins(tmp_path / "overviews.db", begin)
    assert [path.name for path in tmp_path.iterdir()] == ["overviews.db"]
