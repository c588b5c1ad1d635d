"""Migration steps: the parts of a migration in Python. Each does its work in batches.

A step is called with the position that its last batch returned, until it is done. A batch and its position are
committed together, so after a kill the step continues there. It may depend on the database and the position alone.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.model.document import digest_by_name


@dataclass(frozen=True, slots=True)
class Batch:
    """What was done of a step."""

    rows: int
    after: str | None
    """Where the next batch begins, as the step wrote it. None: the step is done."""


class Step(Protocol):
    """A part of a migration. Its methods are called within a transaction, which they must not end."""

    def count(self, db: sqlite3.Connection) -> int:
        """Return about how many rows it will read or write, for the progress bar."""
        ...

    def work(self, db: sqlite3.Connection, after: str | None) -> Batch:
        """Do the first batch (`after` is None), or the one that begins at a position that a batch returned."""
        ...


@dataclass(frozen=True, slots=True)
class Sql:
    """A quick script in SQL, which adds columns or creates views: one batch."""

    script: str

    def count(self, _db: sqlite3.Connection) -> int:
        """Return 0: there is no progress to show."""
        return 0

    def work(self, db: sqlite3.Connection, _after: str | None) -> Batch:
        """Run the whole script."""
        for statement in split_statements(self.script):
            db.execute(statement)
        return Batch(0, None)


@dataclass(frozen=True, slots=True)
class DigestByName:
    """Recomputes the digests of a table of profiles or statements from its columns."""

    table: str

    def count(self, db: sqlite3.Connection) -> int:
        """Return the number of rows."""
        return row_count(db, self.table)

    def work(self, db: sqlite3.Connection, after: str | None) -> Batch:
        """Write the digests of the next rows, in the order of their ids."""
        columns = value_columns(db, self.table)
        rows = db.execute(
            f"SELECT id, {', '.join(columns)} FROM {self.table} WHERE id > ? ORDER BY id LIMIT {BATCH_ROWS}",
            (-1 if after is None else int(after),),
        ).fetchall()
        db.executemany(
            f"UPDATE {self.table} SET digest = ? WHERE id = ?",
            ((digest_by_name(columns, values), number) for number, *values in rows),
        )
        return Batch(len(rows), str(rows[-1][0]) if len(rows) == BATCH_ROWS else None)


BATCH_ROWS = 2_000
"""Rows in a batch: about 20 ms of work."""


def row_count(db: sqlite3.Connection, table: str) -> int:
    """Return the number of rows of a table."""
    (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def value_columns(db: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns of a table of profiles or statements whose values the digest is made of."""
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name not in ("id", "digest")]


_NOT_DAILY = frozenset(
    {"symbol", "observed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", "extra", "checksum"}
)


def daily_columns(db: sqlite3.Connection) -> tuple[str, ...]:
    """Return the columns of snapshots whose values the checksum is made of."""
    return tuple(name for _, name, *_ in db.execute("PRAGMA table_info(snapshots)") if name not in _NOT_DAILY)


def split_statements(sql: str) -> Iterator[str]:
    """Yield the statements of a script, one by one, as executescript would commit between them.

    Raise ValueError if the last one is cut off.
    """
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if ";" in line and sqlite3.complete_statement(statement):  # it reads all of the statement each time
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"incomplete SQL statement: {statement.strip()[:60]!r}")
