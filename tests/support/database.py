"""What a database holds, read with plain SQL: snapshots, documents and symbols."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.model.document import Document, Parts, join_document
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS
from pipeline.model.symbols import Symbol
from pipeline.store.migration_files import FOLDER, read_migrations


def snapshots(database: Path, symbol: str) -> list[tuple[str, str]]:
    """Return the intervals in which versions of a symbol's document are known to have held."""
    with closing(sqlite3.connect(database)) as db:
        return db.execute(
            "SELECT observed_at, confirmed_at FROM overviews WHERE symbol = ? ORDER BY observed_at", (symbol,)
        ).fetchall()


def documents(database: Path, symbol: str) -> list[Document]:
    """Return the documents of a symbol, as received, the oldest first."""
    columns = [f"t.{field.column}" for field in (*PROFILE_FIELDS, *REPORTED_FIELDS, *DAILY_FIELDS)]
    query = f"""
        SELECT layouts.keys, t.extra, {", ".join(columns)}
          FROM overviews AS t
          JOIN snapshots USING (symbol, observed_at)
          JOIN layouts ON layouts.id = snapshots.layout_id
         WHERE t.symbol = ? ORDER BY t.observed_at
    """
    with closing(sqlite3.connect(database)) as db:
        return [_document(symbol, row) for row in db.execute(query, (symbol,))]


def all_symbols(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [row[0] for row in db.execute("SELECT DISTINCT symbol FROM snapshots ORDER BY symbol")]


def _document(symbol: str, row: tuple[Any, ...]) -> Document:
    keys, extra, *values = row
    profile, reported = len(PROFILE_FIELDS), len(REPORTED_FIELDS)
    parts = Parts(
        profile=tuple(values[:profile]),
        reported=tuple(values[profile : profile + reported]),
        daily=tuple(values[profile + reported :]),
        layout=tuple(json.loads(str(keys))),
        extra=None if extra is None else str(extra),
    )
    return join_document(Symbol(symbol), parts)


def earlier_migrations(tmp_path: Path, last: int) -> Path:
    """Return a folder of the first shipped migrations."""
    folder = tmp_path / f"first-{last}"
    folder.mkdir()
    for migration in read_migrations(FOLDER)[:last]:
        shutil.copy(migration.path, folder)
    return folder
