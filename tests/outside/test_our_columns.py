"""Our own columns are outside text too: a damaged one ends with one line that names the database, and no traceback."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import Undecodable
from pipeline.instants import LATEST, from_text, to_text
from pipeline.model.document import Overview, Parts, decode_layout, join_document, split_document
from pipeline.model.renames import EARLIEST
from pipeline.model.symbols import Symbol
from pipeline.monitoring.status import Scope, read_status
from pipeline.query.history import History
from pipeline.store.database import DatabaseError, refuse_foreign
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader, open_for_reading
from pipeline.store.schedules import last_firings
from pipeline.transfer.export import Selection, originals
from tests.support.bad_bytes import bad_bytes, bad_texts
from tests.support.clocks import START
from tests.support.commands import call
from tests.support.observations import database_of, empty_database, seen, store_observations, uncovered
from tests.support.renames import configure, rename

LATER = START + timedelta(days=1)
COLUMNS = [
    ("snapshots", "extra"), ("layouts", "keys"), ("snapshots", "observed_at"), ("snapshots", "reconfirmed_at"),
    ("looks", "at"), ("uncovered", "at"), ("symbols", "last_look"), ("symbols", "last_try"), ("symbols", "next_try"),
    ("symbols", "since"), ("runs", "started_at"), ("runs", "finished_at"), ("runs", "scheduled_for"),
    ("runs", "detail"), ("outcomes", "detail"), ("requests", "finished_at"), ("requests", "deadline_at"),
    ("blocked", "since"), ("blocked", "until"), ("schedules", "since"), ("profiles", "name"),
    ("statements", "latest_quarter"), ("symbols", "last_overview"), ("universe", "since"), ("universe", "until"),
    ("spans", "since"), ("spans", "until"), ("renames", "at"),
]  # fmt: skip
SCHEDULE = "0 0 * * * UTC"


@pytest.fixture(scope="module")
def filled() -> Path:
    """Return a database with rows in each of these tables; it must not be changed."""
    database = database_of(
        [
            seen(0, EPS="1.0", Odd="x"), seen(1, EPS="1.0", Odd="x"), seen(2, EPS="2.0", Odd=["y"]),
            uncovered(3), seen(4, EPS="2.0"), uncovered(4, "GONE"),
        ]
    )  # fmt: skip
    with closing(sqlite3.connect(database)) as db, db:
        db.executescript(
            f"""
            INSERT INTO runs (id, trigger, status, scheduled_for, started_at, finished_at, symbols, due, schedule)
                 VALUES (1, 'schedule', 'complete', '{to_text(START)}', '{to_text(START)}', '{to_text(START)}', 1, 1,
                         '{SCHEDULE}');
            INSERT INTO outcomes (run_id, symbol, outcome, attempts, at)
                 VALUES (1, 'IBM', 'stored', 1, '{to_text(START)}');
            INSERT INTO requests (id, run_id, symbol, retry, reserved_at, deadline_at)
                 VALUES (1, 1, 'IBM', 0, '{to_text(START)}', '{to_text(START)}');
            INSERT INTO blocked (key, since, until) VALUES ('', '{to_text(START)}', '{to_text(START)}');
            INSERT INTO universe (symbol, since, configuration, until)
                 VALUES ('PEP', '{to_text(START)}', '', '{to_text(LATER)}');
            INSERT INTO renames (symbol, renamed_to, at, reused, configuration)
                 VALUES ('OLD', 'IBM', '{to_text(START)}', 0, '');
            INSERT INTO spans (symbol, since, until, company)
                 VALUES ('OLD', '{EARLIEST}', '{to_text(START)}', 'IBM'),
                        ('IBM', '{to_text(START)}', '{LATEST}', 'IBM');
            INSERT INTO schedules (schedule, since) VALUES ('{SCHEDULE}', '{to_text(START)}');
            """
        )
        for table in {table for table, _ in COLUMNS}:
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,), table
    return database


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


def damage(database: Path, table: str, column: str, content: bytes) -> None:
    with closing(sqlite3.connect(database)) as db, suppress(sqlite3.IntegrityError), db:
        db.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT)", (content,))


@settings(max_examples=20)
@given(
    column=st.sampled_from(COLUMNS),
    content=bad_bytes(b'{"Odd": "x"}', b'["Symbol", "EPS", "Odd"]', b"2026-03-14T18:30:00.000Z"),
)
@example(column=("snapshots", "extra"), content=b"[" * 20_000)
@example(column=("snapshots", "extra"), content=b"[]")
@example(column=("statements", "latest_quarter"), content=b"2026-02-30")
@example(column=("statements", "latest_quarter"), content=b"9999-99-99")
@example(column=("layouts", "keys"), content=b'{"Symbol": 1}')
@example(column=("layouts", "keys"), content=b"\xff" * 500)
@example(column=("symbols", "next_try"), content=b"")
@example(column=("requests", "deadline_at"), content=b"2026-03-14")
@example(column=("universe", "since"), content=b"2026-03-14T18:30:00")
@example(column=("universe", "until"), content=b"never")
def test_what_reads_a_damaged_column_answers_or_names_the_database(
    folder: Path, filled: Path, column: tuple[str, str], content: bytes
) -> None:
    database = folder / "o.db"
    shutil.copyfile(filled, database)
    damage(database, *column, content)
    for ask in (ask_history, ask_many_instants, ask_documents, ask_reader, ask_status, observe_again):
        with names(database):
            ask(database)


@contextmanager
def names(database: Path) -> Iterator[None]:
    """Check that the block raises nothing, or one short line that says that the database is damaged."""
    try:
        yield
    except DatabaseError as error:
        line = str(error)
        if f"{database}: damaged" not in line or len(line) > 300 or not line.isprintable():
            raise AssertionError(error) from error


def ask_history(database: Path) -> None:
    with History.open(database) as history:
        list(history.history("IBM"))
        list(history.as_of(LATER))
        list(history.changes(universe=True))
        list(history.vintages("IBM"))
        history.first_observed_at()
        history.last_run_started_at()


def ask_many_instants(database: Path) -> None:
    with History.open(database) as history:
        at = [START + n * timedelta(hours=11) for n in range(10)]
        list(history.panel(at=at, universe=True))
        if find_spec("pyarrow") is not None:
            fields = ["name", "latest_quarter", "eps"]
            history.as_of(LATER, fields=fields).to_arrow()
            history.panel(fields, at=at).to_arrow()
            history.join({"symbol": ["IBM", "OLD"], "time": at[:2]}, fields).to_arrow()


def ask_documents(database: Path) -> None:
    with History.open(database) as history:
        list(history.documents_as_of(LATER))
    with open_for_reading(database) as db:
        list(originals(db, Selection()))


def ask_reader(database: Path) -> None:
    last_firings(database, now=LATER)
    with Reader.open(database) as reader:
        reader.drift()
        list(reader.freshness())
        reader.quota_state(START - timedelta(days=1))
        reader.symbol_states()
        reader.outcomes(1)
        reader.universe()


def ask_status(database: Path) -> None:
    read_status(database, Scope((Symbol("IBM"), Symbol("PEP")), (), timedelta(hours=72), timedelta(days=14)), now=LATER)


def observe_again(database: Path) -> None:
    with suppress(sqlite3.IntegrityError):  # instants that were damaged may collide with others
        configure(database, rename("OLD", "IBM"))
        asyncio.run(store_observations(database, [seen(1.5, EPS="1.0", Odd="x"), seen(9, EPS="3.0", Odd="z")]))


def test_a_command_on_a_damaged_column_ends_with_1_and_names_the_remedy(tmp_path: Path, filled: Path) -> None:
    database = tmp_path / "o.db"
    shutil.copyfile(filled, database)
    damage(database, "snapshots", "extra", b"[" * 20_000)

    ended = call(tmp_path, "as-of", "2026-04-01", "--original", "--database", str(database))

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"pipeline: {database}: damaged")
    assert "backup" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("pragma", ["application_id", "user_version"])
@given(number=st.integers(-(2**31), 2**31 - 1))
def test_a_database_of_any_version_is_ours_or_refused(folder: Path, pragma: str, number: int) -> None:
    database = folder / "version.db"
    shutil.copyfile(empty_database(), database)
    with closing(sqlite3.connect(database)) as db:
        db.execute(f"PRAGMA {pragma} = {number}")
    with suppress(DatabaseError):
        refuse_foreign(database)
        migrate(database, now=START)
        with open_for_reading(database) as db:
            assert db.execute("SELECT count(*) FROM symbols").fetchone() == (0,)


@given(text=bad_texts("2026-03-14T18:30:00.000Z"))
def test_a_stored_instant_is_an_aware_one_or_undecodable(text: str) -> None:
    with suppress(Undecodable):
        assert from_text(text).tzinfo is not None


@given(extra=bad_texts('{"Odd": "x"}'), keys=bad_texts('["Symbol", "Odd", "EPS"]'))
def test_stored_parts_are_a_document_or_undecodable(extra: str, keys: str) -> None:
    empty = split_document_of_nothing()
    with suppress(Undecodable):
        parts = Parts(empty.profile, empty.reported, empty.daily, decode_layout(keys), extra)
        assert isinstance(join_document(Symbol("IBM"), parts), dict)


def split_document_of_nothing() -> Parts:
    return split_document(Overview(Symbol("IBM"), {"Symbol": "IBM"}))
