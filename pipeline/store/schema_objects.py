"""Schema objects: whether the tables and views of a file are those that its migrations make.

A file can come from anywhere. In place of a table it could have a view that never ends, or a column that is computed.
What a user adds stays allowed: tables, views and indexes of other names, and plain columns.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.store.database import DatabaseError
from pipeline.store.migration_files import Migration
from pipeline.store.migration_steps import split_statements

UNDER_WAY = "migration_under_way"
"""The table that exists while a migration in Python is half done. `user_version` is then that migration's version:
every program that does not know it takes the file for a newer one, and refuses it."""

MIGRATIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at TEXT NOT NULL
    ) STRICT
"""

NEWEST_DIGEST = "3ba9a236f8a1d1ff7b02fd1e93f19caf0fb230a3b395e9bf6d646b29a2b8c39d"
"""Of what the newest schema's tables and views are made by, as `digest` computes it: such a file needs no closer look.
A test says the new one after a migration was added."""
NEWEST_NAMES = (
    "backups",
    "blocked",
    "clock",
    "companies",
    "fields",
    "followed",
    "in_flight",
    "keys",
    "latest_overviews",
    "layouts",
    "looks",
    "migrations",
    "outcomes",
    "overview_changes",
    "overviews",
    "profiles",
    "renames",
    "requests",
    "restatements",
    "runs",
    "schedules",
    "snapshots",
    "spans",
    "statements",
    "symbols",
    "uncovered",
    "universe",
)
"""Of those tables and views."""

_REMEDY = "restore a backup (pipeline restore), or name another file"


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A table or view: what it is, and what made it."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """What migrations make, by name: the tables and views, and the columns of the tables."""

    objects: Mapping[str, SchemaObject]
    columns: Mapping[str, frozenset[tuple[object, ...]]]
    """Name, type and place in the primary key of each, and whether it is computed."""


def check_objects(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration], *, is_newest: bool) -> None:
    """Raise DatabaseError unless the tables and views are as these migrations make them.

    `is_newest`: they are all that this program has.
    """
    if is_newest and digest(db, NEWEST_NAMES) == NEWEST_DIGEST:
        return
    made = made_by(tuple(migrations))
    found = objects(db, made.objects)
    for name, wanted in made.objects.items():
        if (problem := _problem(db, name, found.get(name), wanted, made)) is not None:
            raise DatabaseError(f"{path}: {name} {problem}", remedy=_REMEDY)


def check_unfinished(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Raise DatabaseError unless what these migrations make as tables are plain tables. The next one is half done.

    It may have added columns, dropped tables, and changed views, which nothing reads until it is complete.
    """
    made = made_by(tuple(migrations))
    for name, found in objects(db, made.columns).items():
        if found.kind != "table" or (found != made.objects[name] and _computed(db, name, found, made)):
            raise DatabaseError(f"{path}: {name} is not a plain table", remedy=_REMEDY)


def is_under_way(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether a migration is half done.

    Raise DatabaseError unless SQLite's own tables, and those that say which migrations made the file, are plain tables.
    """
    for name, text in db.execute(_SQLITES_OWN):
        if not _PLAIN_OWN.fullmatch(text or ""):
            raise DatabaseError(f"{path}: {name} is not SQLite's own table", remedy=_REMEDY)
    usual = _plain(MIGRATIONS_TABLE.replace("IF NOT EXISTS", ""))
    tables = objects(db, ("migrations", UNDER_WAY))
    for name, found in tables.items():
        if found.text != usual and (found.kind != "table" or any(map(_is_computed, _columns(db, name)))):
            raise DatabaseError(f"{path}: {name} is not a plain table", remedy=_REMEDY)
    return UNDER_WAY in tables


def refuse_triggers(db: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseError if a trigger would change what this program writes to its tables."""
    rows = db.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
    ours = set(NEWEST_NAMES)
    for name, table in rows:
        if table.lower() in ours:
            raise DatabaseError(
                f"{path}: the trigger {name} would change what is written to {table}",
                remedy="remove it (DROP TRIGGER), and copy to a table of your own in another way",
            )


def digest(db: sqlite3.Connection, names: Iterable[str]) -> str:
    """Return a digest of the statements that made the tables and views of these names."""
    wanted = ", ".join(f"'{name}'" for name in names)
    query = f"SELECT type, name, sql FROM sqlite_master WHERE name IN ({wanted}) ORDER BY name, type"
    rows = [row for row in db.execute(query) if row[0] in ("table", "view")]
    return hashlib.sha256("\0".join(f"{kind} {name} {sql}" for kind, name, sql in rows).encode()).hexdigest()


@lru_cache(maxsize=50)
def made_by(migrations: tuple[Migration, ...]) -> Made:
    """Return what migrations make."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        apply_to_empty(db, migrations)
        found = objects(db, [name for (name,) in db.execute(_OURS)])
        return Made(found, {name: _columns(db, name) for name, one in found.items() if one.kind == "table"})


def apply_to_empty(db: sqlite3.Connection, migrations: Iterable[Migration]) -> None:
    """Apply migrations to an empty database in memory, without a record of them."""
    db.execute(MIGRATIONS_TABLE)
    for migration in migrations:
        if not migration.is_stepwise:
            for statement in split_statements(migration.source):
                db.execute(statement)
            continue
        for step in migration.steps():
            batch = step.work(db, None)
            while batch.after is not None:
                batch = step.work(db, batch.after)


_OURS = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def objects(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, SchemaObject]:
    """Return the tables and views of these names that there are, by name in small letters."""
    wanted = json.dumps(sorted({name.lower() for name in names}))
    return {name: _object(text) for name, text in db.execute(_TABLES_AND_VIEWS, (wanted,))}


_SQLITES_OWN = (
    "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_PLAIN_OWN = re.compile(r"CREATE TABLE \w+\([\w,]+\)", re.ASCII)
"""`sqlite_sequence(name,seq)`: with `writable_schema` it can be made a view."""
_TABLES_AND_VIEWS = """
    SELECT lower(name), sql FROM sqlite_master
     WHERE type IN ('table', 'view') AND lower(name) IN (SELECT value FROM json_each(?))
"""


def _columns(db: sqlite3.Connection, table: str) -> frozenset[tuple[object, ...]]:
    rows = db.execute(f"PRAGMA table_xinfo('{table}')")
    return frozenset((name, kind, key, hidden) for _, name, kind, _, _, key, hidden in rows)


def _object(text: str | None) -> SchemaObject:
    made = _MADE.match(text or "")
    return SchemaObject(" ".join(made[1].lower().split()) if made else "something else", _plain(text))


_MADE = re.compile(r"CREATE\s+(VIRTUAL\s+TABLE|TABLE|VIEW)\b")
"""How SQLite writes down what made an object: preparing a statement for it could take for ever."""


def _plain(text: str | None) -> str:
    """Return a statement without what differs between versions of SQLite: quotes and white space."""
    return re.sub(r"[\s\"]+", "", text or "").lower()


def _problem(
    db: sqlite3.Connection, name: str, found: SchemaObject | None, wanted: SchemaObject, made: Made
) -> str | None:
    """Return why an object is not the one that is wanted, None if it is."""
    if found == wanted:
        return None
    if found is None:
        return "is missing"
    if found.kind != wanted.kind:
        return f"is a {found.kind}, not a {wanted.kind}"
    if wanted.kind == "view":
        return "is not as this program makes it"
    if not made.columns[name] <= _columns(db, name):
        return "lacks columns that this program makes"
    # A user may have added columns, and another version of SQLite may write a change down in other words.
    computed = _computed(db, name, found, made)
    return f"has columns that are computed ({', '.join(computed)})" if computed else None


def _computed(db: sqlite3.Connection, name: str, found: SchemaObject, made: Made) -> list[str]:
    """Return the names of columns that are computed, but for those that this program makes so.

    These have to be made by the same text, from the table's beginning on: nothing that is added can stand before it.
    """
    head, end, _ = made.objects[name].text.rpartition(_COMPUTED)
    ours = made.columns[name] if found.text.startswith(head + end) else frozenset()
    columns = _columns(db, name) - ours
    return sorted(str(column[0]) for column in columns if _is_computed(column))


_COMPUTED = ")virtual,"
"""How the text of a computed column of this program ends."""


def _is_computed(column: tuple[object, ...]) -> bool:
    return bool(column[-1])
