"""Databases to export."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, Kind
from pipeline.model.symbols import Symbol
from tests.support.companies import COMPANIES
from tests.support.exports import FULL, IBM, PEP, at, observed, store_all


@pytest.fixture
async def kept(database: Path) -> Path:
    """A database with a full document and one with no value at all, in two months."""
    empty = {field.name: field.missing for field in CATALOGUE}
    await store_all(
        database,
        (IBM, at("2026-01-31T23:59:59.999"), {**FULL, "Symbol": "IBM", "New": 1}),
        (IBM, at("2026-02-01T00:00"), {**empty, "Symbol": "IBM"}),
        observed(PEP, "2026-01-15T12:00"),
        observed(PEP, "2026-01-16T12:00"),
    )
    return database


@pytest.fixture
async def long_database(database: Path) -> Path:
    """A database that takes a while: more than a pipe holds, or a small disk."""
    day = date(2026, 3, 2)
    documents = [(Symbol(symbol), COMPANIES.document(Symbol(symbol), day)) for symbol in list(COMPANIES.symbols)[:20]]
    await store_all(database, *((symbol, at("2026-03-02"), dict(found)) for symbol, found in documents if found))
    with closing(sqlite3.connect(database)) as db:
        names = [
            row[1] for row in db.execute("PRAGMA table_info(snapshots)") if row[1] not in ("symbol", "observed_at")
        ]
        reals = {field.column for field in DAILY_FIELDS if field.kind is Kind.REAL}
        values = ["random() / 1e9" if name in reals else name for name in names]  # nothing compresses them
        db.execute(
            f"""
            WITH RECURSIVE days (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 50)
            INSERT INTO snapshots (symbol, observed_at, {", ".join(names)})
            SELECT symbol, strftime('%Y-%m-%dT%H:%M:%S.000Z', observed_at, '+' || n || ' days'), {", ".join(values)}
              FROM snapshots, days
            """
        )
        db.commit()
    return database


@pytest.fixture
def pq() -> Any:
    """Return pyarrow's Parquet, or skip the test."""
    return pytest.importorskip("pyarrow.parquet")
