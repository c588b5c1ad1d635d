"""Packed rows: every value that SQLite can hold comes out of its pages as it went in."""

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import Undecodable
from pipeline.model.fields import Kind

COLUMNS = (("i", Kind.INTEGER), ("r", Kind.REAL), ("t", Kind.TEXT), ("j", Kind.JSON))
INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 127, 128, 2**47, -(2**47) - 1])
NUMBERS = st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=20) | st.integers(0, 5_000).map("ü".__mul__)
ROWS = st.lists(st.tuples(INTEGERS, NUMBERS, TEXTS, TEXTS), max_size=40)
PAGE_SIZES = st.sampled_from([512, 4096, 65536])
Row = tuple[Any, ...]


@contextmanager
def holding(rows: Sequence[Row], page_size: int = 65536) -> Iterator[sqlite3.Connection]:
    """Yield a database with the rows in the table `given`, whose temporary tables have pages of that size."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA temp.page_size = {page_size}")
        db.execute("CREATE TEMP TABLE earlier (any)")
        db.execute("CREATE TABLE given (i, r, t, j)")
        db.executemany("INSERT INTO given VALUES (?, ?, ?, ?)", rows)
        yield db


def read(db: sqlite3.Connection) -> list[Row]:
    from pipeline.query.packed import packed, typed  # noqa: PLC0415 - needs the extra

    arrays = typed(COLUMNS, [packed(db, COLUMNS, "SELECT * FROM given ORDER BY rowid", {})])
    return list(zip(*(arrays[name].to_pylist() for name, _ in COLUMNS), strict=True))


def exactly(rows: Sequence[Row]) -> list[Row]:
    """Return rows whose floats compare by their bits: -0.0 is not 0.0."""
    return [(i, None if r is None else struct.pack("d", r), t, j) for i, r, t, j in rows]


@given(ROWS, PAGE_SIZES)
@example([(1, 1.5, "x" * 70_000, None), (2, None, "y" * 65_450, "z"), (3, 2, "", "")], 65536)
@example([(None, None, "x" * n, None) for n in range(440, 520)], 512)  # where a row begins not to fit its page
@example([(n, n / 7, None, None) for n in range(-1_000, 20_000)], 512)
@example([(None, None, None, None)] * 3, 65536)
@example([], 65536)
def test_every_value_comes_out_of_the_pages_as_it_went_in(rows: list[Row], page_size: int) -> None:
    pytest.importorskip("pyarrow")
    with holding(rows, page_size) as db:
        assert exactly(read(db)) == exactly(rows)


@given(st.lists(ROWS, min_size=2, max_size=4))
def test_rows_packed_in_pieces_are_the_rows(pieces: list[list[Row]]) -> None:
    pytest.importorskip("pyarrow")
    from pipeline.query.packed import packed, typed  # noqa: PLC0415 - needs the extra

    found = []
    for rows in pieces:
        with holding(rows) as db:
            found.append(packed(db, COLUMNS, "SELECT * FROM given ORDER BY rowid", {}))
    arrays = typed(COLUMNS, found)
    read = list(zip(*(arrays[name].to_pylist() for name, _ in COLUMNS), strict=True))
    assert exactly(read) == exactly([row for rows in pieces for row in rows])


@pytest.mark.parametrize(
    "row",
    [("1", None, None, None), (1.5, None, None, None), (None, "1", None, None), (None, None, 1, None),
     (None, None, b"x", None), (None, None, None, 1.5)],
)  # fmt: skip
def test_a_value_of_another_type_than_its_column_is_refused(row: Row) -> None:
    pytest.importorskip("pyarrow")
    with holding([(1, 1.5, "x", "y"), row]) as db, pytest.raises(Undecodable):
        read(db)


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    pytest.importorskip("pyarrow")
    with holding([]) as db:
        db.execute("INSERT INTO given (t) VALUES (CAST(x'ff41' AS TEXT))")
        with pytest.raises(Undecodable, match="UTF"):
            read(db)


def test_a_failed_query_leaves_nothing_behind() -> None:
    pytest.importorskip("pyarrow")
    from pipeline.query.packed import packed  # noqa: PLC0415 - needs the extra

    with holding([(1, 1.5, "x", "y")]) as db:
        with pytest.raises(sqlite3.OperationalError):
            packed(db, COLUMNS, "SELECT i, r, t, missing FROM given", {})
        assert read(db) == [(1, 1.5, "x", "y")]


def test_an_error_after_which_sqlite_rolls_back_is_raised_as_it_is() -> None:
    pytest.importorskip("pyarrow")
    from pipeline.query.packed import packed  # noqa: PLC0415 - needs the extra

    with holding([(1, 1.5, "x", "y")] * 2) as db:
        db.create_function("stop", 0, db.interrupt)
        db.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            packed(db, COLUMNS, "SELECT stop(), r, t, j FROM given", {})
