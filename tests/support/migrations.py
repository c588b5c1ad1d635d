"""Migrations for tests: a step that doubles numbers, a transaction for each; and a database of positional digests."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from msgspec import msgpack

from pipeline.store.migrate import TRANSACTION_ROWS, migrate
from pipeline.store.migration_steps import Batch, row_count
from tests.support.clocks import START

NUMBERS = range(1, 5)
TABLE = (
    "CREATE TABLE numbers (n INTEGER PRIMARY KEY, value INTEGER);\n"
    f"INSERT INTO numbers VALUES {', '.join(f'({n}, {n})' for n in NUMBERS)};\n"
)
DOUBLING = """
from pipeline.store.migration_steps import Sql
from tests.support.migrations import Double

STEPS = (Sql("ALTER TABLE numbers ADD COLUMN doubled INTEGER;"), Double(), Sql("CREATE TABLE done (a TEXT);"))
"""


@dataclass(frozen=True, slots=True)
class Double:
    """Doubles one number after the other."""

    def count(self, db: sqlite3.Connection) -> int:
        return row_count(db, "numbers") * TRANSACTION_ROWS

    def work(self, db: sqlite3.Connection, after: str | None) -> Batch:
        number = 1 if after is None else int(after)
        db.execute("UPDATE numbers SET value = value * 2, doubled = 1 WHERE n = ?", (number,))
        return Batch(TRANSACTION_ROWS, None if number == max(NUMBERS) else str(number + 1))


def with_positional_digests(database: Path, old: Path, folder: Path) -> None:
    """Fill a new database, made by the migrations of a folder, with the record of another.

    Its digests are as they were then: of all values of a profile or statement, in the order of the columns.
    """
    migrate(old, now=START, folder=folder)
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("ATTACH ? AS newer", (str(database),))
        for table in ("profiles", "statements", "layouts", "snapshots", "looks", "symbols"):
            columns = ", ".join(name for _, name, *_ in db.execute(f"PRAGMA table_info({table})"))
            db.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}")
        for table in ("profiles", "statements"):
            for number, _, *values in db.execute(f"SELECT * FROM {table}").fetchall():
                digest = blake2b(msgpack.encode(values), digest_size=16).digest()
                db.execute(f"UPDATE {table} SET digest = ? WHERE id = ?", (digest, number))


def digests(database: Path) -> list[tuple[str, int, bytes]]:
    """Return the digest of each profile and statement."""
    with closing(sqlite3.connect(database)) as db:
        return [
            (table, *row)
            for table in ("profiles", "statements")
            for row in db.execute(f"SELECT id, digest FROM {table} ORDER BY id")
        ]
