"""Catalogue migration: writes the migration that brings the schema up to the field catalogue. A developer's tool.

`python -m pipeline.store.catalogue_migration`, after a field was added to `model/fields.py`.
"""

import json
import re
import sqlite3
import sys
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import Trouble
from pipeline.instants import utc_now
from pipeline.model.fields import CATALOGUE, Field
from pipeline.store.catalogue_views import FIELD_COLUMNS, TABLES, field_row, views
from pipeline.store.migrate import migrate
from pipeline.store.migration_files import FOLDER, read_migrations

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """What the catalogue has and the schema of the migrations lacks."""

    added: tuple[Field, ...]
    described: tuple[Field, ...]
    """Fields with another unit, description or place among the fiscal ones."""
    views: tuple[str, ...]
    """The names of views whose SQL is different."""


class Contract(Trouble):
    """A change of the catalogue that would break the programs that read the database."""


def difference(db: sqlite3.Connection, catalogue: Sequence[Field]) -> Difference:
    """Return what a schema lacks of a catalogue.

    Raise Contract where a column would vanish, or change its name, type, part or spelling of missing values.
    """
    known = {column: rest for column, *rest in db.execute(f"SELECT {FIELD_COLUMNS} FROM fields")}
    columns = {field.column for field in catalogue}
    if vanished := sorted(known.keys() - columns):
        raise Contract(f"the catalogue lacks {', '.join(vanished)}", remedy=f"put it back: {_REASON}")
    existing = {name for table in TABLES.values() for _, name, *_ in db.execute(f"PRAGMA table_xinfo({table})")}
    added, described = [], []
    for field in catalogue:
        if field.column not in known:
            _check(field, existing)
            added.append(field)
            continue
        name, kind, part, unit, fiscal, missing, description = known[field.column]
        if (name, kind, part, missing) != (field.name, field.kind, field.part, field.missing):
            before, after = (
                (name, kind, part, missing),
                (field.name, *map(str, (field.kind, field.part)), field.missing),
            )
            raise Contract(f"{field.column} was {before}, and is now {after}", remedy=f"put it back: {_REASON}")
        if (unit, fiscal, description) != (field.unit, field.is_fiscal, field.description):
            described.append(field)
    present = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    return Difference(
        tuple(added),
        tuple(described),
        tuple(name for name, sql in views(catalogue).items() if present.get(name) != statement_only(sql)),
    )


_REASON = "names and types of columns are a contract (docs/CONTRIBUTING.md, A field that changes)"


def statement_only(sql: str) -> str:
    """Return a statement without the comment before it, as SQLite keeps it."""
    return sql[sql.index("CREATE ") :]


def _check(field: Field, existing: Collection[str]) -> None:
    """Raise Contract unless a new field can be written into SQL. `existing`: the names of all columns."""
    if field.column in existing:
        raise Contract(f"{field.column} is a column already", remedy="choose another name")
    if not re.fullmatch("[a-z][a-z0-9_]*", field.column):
        raise Contract(f"{field.column!r} is no name for a column", remedy="use lower-case letters, digits and _")
    if not re.fullmatch("[A-Za-z0-9_ .-]+", field.name):
        raise Contract(f"{field.name!r}: names with such characters cannot be searched for in `extra`")
    if any(part in field.unit + field.description for part in ("\\", '"""')):
        raise Contract(f"{field.column}: a backslash or three quotes cannot stand in a migration's text")


def source(lacking: Difference, catalogue: Sequence[Field]) -> str:
    """Return the source of the migration: Python if it adds fields, else SQL."""
    drops, creates = _drops(lacking), _creates(lacking, catalogue)
    if not lacking.added:
        return f"-- The views and the table `fields` as the field catalogue has them.\n\n{drops}{creates}"
    names = ", ".join(f"`{field.column}`" for field in lacking.added)
    return f'''"""Move fields from `extra` into columns of their own, in past snapshots too.

{names}
"""

from pipeline.model.fields import Field, Kind, Part
from pipeline.store.migration_steps import Sql
from pipeline.store.promotion import promotion

FIELDS = (
{"".join(map(_constructor, lacking.added))})

# Dropped first, so that no other program reads what is half done.
DROP_VIEWS = """
{drops}"""
CREATE_VIEWS = """{creates}"""

STEPS = (Sql(DROP_VIEWS), *promotion(FIELDS), Sql(CREATE_VIEWS))
'''


def _constructor(field: Field) -> str:
    """Return a field as an expression in Python."""
    name, column, *others = map(_literal, (field.name, field.column, field.unit, field.description, field.missing))
    arguments = [name, column, f"Kind.{field.kind.name}", f"Part.{field.part.name}", *others]
    return "    Field(\n" + "".join(f"        {argument},\n" for argument in arguments) + "    ),\n"


def _literal(text: str) -> str:
    """Return a text as a literal, in the quotes that the formatter wants."""
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def _drops(lacking: Difference) -> str:
    """Return the SQL that drops the views whose SQL is different."""
    return "".join(f"DROP VIEW IF EXISTS {name};\n" for name in reversed(lacking.views))


def _creates(lacking: Difference, catalogue: Sequence[Field]) -> str:
    """Return the SQL for the views and the rows of `fields`."""
    wanted = views(catalogue)
    creates = "".join(f"\n{wanted[name]};\n" for name in lacking.views)
    rows = ",\n    ".join(map(field_row, (*lacking.added, *lacking.described)))
    return creates + (f"\nINSERT OR REPLACE INTO fields ({FIELD_COLUMNS}) VALUES\n    {rows};\n" if rows else "")


def write_migration(folder: Path, catalogue: Sequence[Field]) -> Path | None:
    """Write the migration into the folder, and return its path; None if the schema lacks nothing.

    Raise Contract where the catalogue changes what programs rely on.
    """
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "schema.db"
        migrate(path, now=utc_now(), folder=folder)
        with closing(sqlite3.connect(path)) as db:
            lacking = difference(db, catalogue)
    if not (lacking.added or lacking.described or lacking.views):
        return None
    number = len(read_migrations(folder)) + 1
    name = "_".join(("add", *(field.column for field in lacking.added))) if lacking.added else "catalogue"
    script = folder / f"{number:04}_{name[:_LONGEST_NAME]}.{'py' if lacking.added else 'sql'}"
    script.write_text(source(lacking, catalogue), encoding="utf-8")
    return script


def main() -> None:
    """Write the migration into the shipped ones, and print its path."""
    try:
        path = write_migration(FOLDER, CATALOGUE)
    except Trouble as error:
        sys.exit(str(error))
    sys.stdout.write(f"{path or 'nothing to do: the schema has all that the catalogue has'}\n")


if __name__ == "__main__":
    main()
