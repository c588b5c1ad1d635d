"""Relations: each table and view is either described, with all its columns, or internal."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.store.relations import INTERNAL, RELATIONS, described_columns


def test_every_table_and_view_is_described_or_internal(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}

    assert {name for name in names if not name.startswith("sqlite_")} == {*RELATIONS, *INTERNAL}


def test_every_column_is_described(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        for name in RELATIONS:
            columns = {row[1] for row in db.execute(f"PRAGMA table_info({name})")}
            assert described_columns(name).keys() == columns, name
