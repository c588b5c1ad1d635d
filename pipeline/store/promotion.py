"""Promotion: moves fields from `extra` into columns of their own, in all past snapshots.

Afterwards the tables are as if the fields had been in the catalogue from the start, except for the ids of profiles and
statements. No snapshot is added, removed or moved.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.model.checksums import ADDED, Summed, sum_of
from pipeline.model.document import digest_by_name, split_extra
from pipeline.model.fields import Field, Part
from pipeline.model.values import Value
from pipeline.store import migration_steps
from pipeline.store.catalogue_views import SQL_TYPES, TABLES
from pipeline.store.migration_steps import Batch, Sql, Step, daily_columns, row_count, value_columns

_SLOW = {Part.PROFILE: "profile_id", Part.REPORTED: "statement_id"}
"""The column of a snapshot that refers to the row with a part's values. Daily values are in the snapshot itself."""


def promotion(fields: Sequence[Field]) -> tuple[Step, ...]:
    """Return the steps that add the columns of new fields, and move the values of past documents into them."""
    tables = [TABLES[part] for part in _SLOW if any(field.part is part for field in fields)]
    columns = [f"ALTER TABLE {TABLES[f.part]} ADD COLUMN {f.column} {SQL_TYPES[f.kind]};" for f in fields]
    return (
        Sql(
            "\n".join(
                [*columns, *(f"CREATE TABLE {_used(table)} (id INTEGER PRIMARY KEY) STRICT;" for table in tables)]
            )
        ),
        _Promote(tuple(fields)),
        *(_RemoveUnused(table) for table in tables),
        Sql("\n".join(f"DROP TABLE {_used(table)};" for table in tables)),
    )


def _used(table: str) -> str:
    """Return the name of the table of the ids that snapshots refer to, which exists during the promotion."""
    return f"used_{table}"


@dataclass(frozen=True, slots=True)
class _Promote:
    """Rewrites the snapshots that carry the fields, in the order of their keys."""

    fields: tuple[Field, ...]

    def count(self, db: sqlite3.Connection) -> int:
        """Return the number of snapshots: all are searched."""
        return row_count(db, "snapshots")

    def work(self, db: sqlite3.Connection, after: str | None) -> Batch:
        """Rewrite those of the next snapshots that carry a field."""
        first = ["", ""] if after is None else json.loads(after)
        keys = db.execute(_KEYS, (*first, migration_steps.BATCH_ROWS)).fetchall()
        if not keys:
            return Batch(0, None)
        stretch = (*first, *keys[-1])
        self._rewrite(db, stretch)
        for part, key in _SLOW.items():
            if any(field.part is part for field in self.fields):
                ids = f"SELECT DISTINCT {key} FROM snapshots WHERE {_STRETCH}"
                db.execute(f"INSERT OR IGNORE INTO {_used(TABLES[part])} {ids}", stretch)
        return Batch(len(keys), json.dumps(keys[-1]) if len(keys) == migration_steps.BATCH_ROWS else None)

    def _rewrite(self, db: sqlite3.Connection, stretch: tuple[str, ...]) -> None:
        """Rewrite those of a stretch that carry a field."""
        rewriter = _Rewriter(db, self.fields)
        rewritten = lru_cache(migration_steps.BATCH_ROWS)(rewriter.rewritten)
        columns = daily_columns(db)
        # This also finds a name within another value: rewriting such a snapshot changes nothing.
        named = " OR ".join(["instr(extra, ?)"] * len(self.fields))
        row = f"profile_id, statement_id, extra, symbol, observed_at, layout_id, {', '.join(columns)}"
        carrying = db.execute(
            f"SELECT {row} FROM snapshots WHERE {_STRETCH} AND ({named})",
            (*stretch, *(json.dumps(field.name) for field in self.fields)),
        ).fetchall()
        new = [field.column for field in self.fields if field.part is Part.DAILY]
        rows = []
        for profile, statement, extra, symbol, at, layout, *daily in carrying:
            values = rewritten(profile, statement, extra)
            before = rewriter.summed(symbol, at, (profile, statement, layout), daily, extra)
            profile_now, statement_now, left, *added = values
            daily_now = [*(dict(zip(columns, daily, strict=True)) | dict(zip(new, added, strict=True))).values()]
            after = rewriter.summed(symbol, at, (profile_now, statement_now, layout), daily_now, left)
            rows.append((*values, sum_of(after, columns) - sum_of(before, columns), symbol, at))
        db.executemany(
            "UPDATE snapshots SET profile_id = ?, statement_id = ?, extra = ?"
            f"{''.join(f', {name} = ?' for name in new)}, checksum = {ADDED.format('?')}"
            " WHERE symbol = ? AND observed_at = ?",
            rows,
        )


_KEYS = "SELECT symbol, observed_at FROM snapshots WHERE (symbol, observed_at) > (?, ?) ORDER BY 1, 2 LIMIT ?"
_STRETCH = "(symbol, observed_at) > (?, ?) AND (symbol, observed_at) <= (?, ?)"


class _Rewriter:
    """Rewrites snapshots: finds or adds the profiles and statements that have the fields in their columns."""

    def __init__(self, db: sqlite3.Connection, fields: Sequence[Field]) -> None:
        self._db = db
        self._fields = tuple(fields)
        self._places = {part: [place for place, field in enumerate(fields) if field.part is part] for part in TABLES}
        self._new_columns = {part: [fields[n].column for n in places] for part, places in self._places.items()}
        self._columns = {part: value_columns(db, TABLES[part]) for part in _SLOW}
        self._found: dict[tuple[Part, int, tuple[Value, ...]], int] = {}
        self._digest = lru_cache(migration_steps.BATCH_ROWS)(self._read_digest)

    def rewritten(self, profile: int, statement: int, extra: str) -> tuple[Any, ...]:
        """Return a snapshot's ids of profile and statement, the rest of `extra`, and the values of daily fields."""
        values, left = split_extra(self._fields, extra)
        profile = self._find(Part.PROFILE, profile, values)
        statement = self._find(Part.REPORTED, statement, values)
        return profile, statement, left, *(values[place] for place in self._places[Part.DAILY])

    def summed(
        self, symbol: str, at: str, parts: tuple[int, int, int], daily: Sequence[Value], extra: str | None
    ) -> Summed:
        """Return what the checksum of a snapshot with these parts is made of."""
        profile, statement, layout = map(self._digest, ("profiles", "statements", "layouts"), parts)
        return Summed(symbol, at, profile, statement, layout, daily, extra)

    def _read_digest(self, table: str, number: int) -> bytes:
        row = self._db.execute(f"SELECT digest FROM {table} WHERE id = ?", (number,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def _find(self, part: Part, old: int, values: Sequence[Value]) -> int:
        """Return the id of the profile or statement that is a copy of an old one with the fields' values added."""
        own = tuple([values[place] for place in self._places[part]])
        if all(value is None for value in own):
            return old
        key = part, old, own
        if key not in self._found:
            self._found[key] = self._like(part, old, own)
        return self._found[key]

    def _like(self, part: Part, old: int, own: Sequence[Value]) -> int:
        table, columns = TABLES[part], self._columns[part]
        names = ", ".join(columns)
        before = self._db.execute(f"SELECT {names} FROM {table} WHERE id = ?", (old,)).fetchone()
        row = dict(zip(columns, before, strict=True)) | dict(zip(self._new_columns[part], own, strict=True))
        digest = digest_by_name(columns, [*row.values()])
        self._db.execute(
            f"INSERT INTO {table} (digest, {names}) VALUES (?{', ?' * len(columns)}) ON CONFLICT (digest) DO NOTHING",
            (digest, *row.values()),
        )
        (number,) = self._db.execute(f"SELECT id FROM {table} WHERE digest = ?", (digest,)).fetchone()
        return int(number)


@dataclass(frozen=True, slots=True)
class _RemoveUnused:
    """Removes the rows of a table that no snapshot refers to any more, in the order of their ids."""

    table: str

    def count(self, db: sqlite3.Connection) -> int:
        """Return the number of rows."""
        return row_count(db, self.table)

    def work(self, db: sqlite3.Connection, after: str | None) -> Batch:
        """Remove the unused ones of the next rows."""
        first = -1 if after is None else int(after)
        ids = [
            number
            for (number,) in db.execute(
                f"SELECT id FROM {self.table} WHERE id > ? ORDER BY id LIMIT ?", (first, migration_steps.BATCH_ROWS)
            )
        ]
        if not ids:
            return Batch(0, None)
        db.execute(
            f"DELETE FROM {self.table} WHERE id > ? AND id <= ? AND id NOT IN (SELECT id FROM {_used(self.table)})",
            (first, ids[-1]),
        )
        return Batch(len(ids), str(ids[-1]) if len(ids) == migration_steps.BATCH_ROWS else None)
