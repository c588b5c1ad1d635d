"""Parquet of invented histories: every row of the view, every value, in order."""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Kind
from tests.support.exports import at, parquet, plain, view
from tests.support.observations import empty_database

Values = list[Any]


class Snapshot(NamedTuple):
    """A snapshot some days after 30 November 2025, of parts by number."""

    symbol: str
    day: int
    profile: int
    statement: int
    daily: Values
    extra: str | None
    is_confirmed: bool


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.REAL: st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    Kind.INTEGER: st.none() | st.integers(-(2**63), 2**63 - 1),
    Kind.TEXT: st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    Kind.DATE: st.none() | st.dates(date(1, 1, 1)).map(date.isoformat),
}


def values_of(fields: Sequence[Field]) -> st.SearchStrategy[Values]:
    """Return what makes the values of some fields, of a few for each kind. From one column on, there may be none."""
    pools = {kind: st.lists(VALUES[kind], min_size=1, max_size=3) for kind in {field.kind for field in fields}}

    def chosen(pools: dict[Kind, Values], begin: int, end: int) -> Values:
        return [
            pools[field.kind][n % len(pools[field.kind])] if begin <= n < end else None
            for n, field in enumerate(fields)
        ]

    places = st.integers(0, len(fields))
    return st.builds(chosen, st.fixed_dictionaries(pools), places, places)


SNAPSHOTS = st.builds(
    Snapshot,
    st.sampled_from(["A", "BRK-B", "ÄÖ", "ZZZZ.LONDON"]),
    st.integers(0, 100),  # in four months, of which some have none
    st.integers(0, 1),
    st.integers(0, 1),
    values_of(DAILY_FIELDS),
    st.none() | st.just('{"New": 1}'),
    st.booleans(),
)


@given(
    st.lists(SNAPSHOTS, max_size=20, unique_by=lambda one: (one.symbol, one.day)),
    st.tuples(values_of(PROFILE_FIELDS), values_of(PROFILE_FIELDS)),
    st.tuples(values_of(REPORTED_FIELDS), values_of(REPORTED_FIELDS)),
)
def test_the_rows_are_those_of_the_view_whatever_the_history(
    snapshots: list[Snapshot], profiles: Sequence[Values], statements: Sequence[Values]
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    from pipeline.transfer import parquet as module  # noqa: PLC0415 - needs the extra

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 2)
        patch.setattr(module, "_GROUP", 6)
        path = Path(folder, "overviews.db")
        shutil.copy(empty_database(), path)
        with closing(sqlite3.connect(path)) as db:
            insert(
                db, "profiles", PROFILE_FIELDS, ["id", "digest"], ((n, b"%d" % n, *p) for n, p in enumerate(profiles))
            )
            insert(
                db,
                "statements",
                REPORTED_FIELDS,
                ["id", "digest"],
                ((n, b"%d" % n, *s) for n, s in enumerate(statements)),
            )
            insert(db, "symbols", (), ["symbol"], ((symbol,) for symbol in {one.symbol for one in snapshots}))
            names = ["symbol", "observed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", "extra"]
            insert(db, "snapshots", DAILY_FIELDS, names, map(row, snapshots))
            db.commit()
        found = [
            {name: plain(value) for name, value in row.items()} for row in pq.read_table(parquet(path)).to_pylist()
        ]
        assert found == sorted(view(path), key=lambda row: row["observed_at"][:7])


def insert(
    db: sqlite3.Connection, table: str, fields: Sequence[Field], names: list[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    columns = names + [field.column for field in fields]
    db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)


def row(one: Snapshot) -> tuple[Any, ...]:
    first = at("2025-11-30T23:59:59.999") + timedelta(days=one.day)
    again = instants.to_text(first + timedelta(hours=1)) if one.is_confirmed else None
    return one.symbol, instants.to_text(first), again, one.profile, one.statement, 1, one.extra, *one.daily
