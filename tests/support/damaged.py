"""Damaged databases: opened so that columns take what they are not made for, as a disk or another program leaves it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_LOOSE = {
    ") STRICT, WITHOUT": ") WITHOUT",
    ") STRICT": ")",
    " NOT NULL": "",
    "CHECK (state IN ('covered', 'unknown'))": "",
    "CHECK (id = 1)": "",
}


@contextmanager
def untyped(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database without the types and constraints of its columns, which it has again at the end of the block."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        tables = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
        _redefine(db, {name: _loosened(sql) for name, sql in tables.items()})
        try:
            yield db
        finally:
            _redefine(db, tables)


def _loosened(sql: str) -> str:
    for old, new in _LOOSE.items():
        sql = sql.replace(old, new)
    return sql


def _redefine(db: sqlite3.Connection, tables: dict[str, str]) -> None:
    """Change what the schema says of tables, and let the connection read it."""
    db.execute("PRAGMA writable_schema = ON")
    for name, sql in tables.items():
        db.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (sql, name))
    (number,) = db.execute("PRAGMA schema_version").fetchone()
    db.execute(f"PRAGMA schema_version = {number + 1}")
    db.execute("PRAGMA writable_schema = RESET")
