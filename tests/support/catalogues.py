"""Catalogues: this program with fields taken out of its catalogue, in a folder of its own, and what it then stores."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.model.fields import CATALOGUE, FIELDS, Field
from pipeline.store.catalogue_views import TABLES, views
from pipeline.store.migration_files import FOLDER, read_migrations
from tests.support.observations import Observed

ROOT = Path(__file__).parents[2]
_CATALOGUE = Path("pipeline/model/fields.py")

_STORE = """
import json, sys
from datetime import datetime
from pathlib import Path
import asyncio
from pipeline.store.migrate import migrate
from tests.support.clocks import START
from tests.support.observations import Observed, store_observations

path = Path(sys.argv[1])
migrate(path, now=START)
observed = [Observed(symbol, datetime.fromisoformat(at), document) for symbol, at, document in json.load(sys.stdin)]
asyncio.run(store_observations(path, observed))
"""


class Tree:
    """A copy of this program in which some files are its own, and the others links."""

    def __init__(self, folder: Path, without: Iterable[str]) -> None:
        """Make a copy whose catalogue, and whose schema, lack fields, named as the API does."""
        self.folder = folder
        self._link(Path("pipeline"), own={_CATALOGUE})
        (folder / "config").symlink_to(ROOT / "config")
        self.migrations = folder / "migrations"
        self.migrations.mkdir()
        for migration in read_migrations(FOLDER):
            (self.migrations / migration.path.name).symlink_to(migration.path)
        self._out = [FIELDS[name] for name in without]
        text = (ROOT / _CATALOGUE).read_text(encoding="utf-8")
        for field in self._out:
            text, count = re.subn(rf'^    _\w+\("{field.name}".*\n', "", text, flags=re.MULTILINE)
            assert count == 1, field
        (folder / _CATALOGUE).write_text(text, encoding="utf-8")
        number = len(read_migrations(FOLDER)) + 1
        (self.migrations / f"{number:04}_take_out.sql").write_text(_taken_out(self._out), encoding="utf-8")

    def _link(self, folder: Path, own: set[Path]) -> None:
        (self.folder / folder).mkdir(parents=True)
        for path in (ROOT / folder).iterdir():
            place = folder / path.name
            if place in own or path.name == "__pycache__":
                continue
            if any(place in one.parents for one in own):
                self._link(place, own)
            else:
                (self.folder / place).symlink_to(path)

    def put_back(self) -> None:
        """Give the catalogue its fields back, but not the schema."""
        (self.folder / _CATALOGUE).unlink()
        (self.folder / _CATALOGUE).symlink_to(ROOT / _CATALOGUE)

    def own(self, path: str, pattern: str, replacement: str) -> None:
        """Change a file, which is still a link, in this copy."""
        file = self.folder / path
        text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count == 1, pattern
        for parent in reversed(Path(path).parents):
            if (self.folder / parent).is_symlink():
                (self.folder / parent).unlink()
                self._link(parent, own={Path(path)})
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which Python takes this copy of the program."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}"}

    def python(self, *arguments: str, stdin: str = "") -> str:
        """Run Python with this copy of the program, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=self.environment, input=stdin, text=True,
            capture_output=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def store(self, path: Path, observed: Sequence[Observed]) -> None:
        """Store observations in a new database."""
        rows = [(one.symbol, one.at.isoformat(), one.document) for one in observed]
        self.python("-c", _STORE, str(path), stdin=json.dumps(rows))


def _taken_out(fields: Sequence[Field]) -> str:
    """Return the migration that takes fields out of a schema without rows."""
    left = views([field for field in CATALOGUE if field not in fields])
    columns = ", ".join(f"'{field.column}'" for field in fields)
    return "\n".join(
        [
            *(f"DROP VIEW {name};" for name in left),
            *(f"ALTER TABLE {TABLES[field.part]} DROP COLUMN {field.column};" for field in fields),
            f"DELETE FROM fields WHERE field IN ({columns});",
            *(f"{sql};" for sql in left.values()),
        ]
    )


def content(database: Path) -> dict[str, list[Any]]:
    """Return all that the tables of the record and the catalogue hold, without the ids of shared rows.

    Profiles, statements and layouts that no snapshot refers to are left out.
    """
    with closing(sqlite3.connect(database)) as db:
        db.row_factory = sqlite3.Row
        held: dict[str, list[Any]] = {}
        for table in ("looks", "symbols", "fields", "uncovered"):
            held[table] = sorted(sorted(dict(row).items(), key=str) for row in db.execute(f"SELECT * FROM {table}"))
        shared = (("profiles", "profile_id"), ("statements", "statement_id"), ("layouts", "layout_id"))
        for table, key in shared:
            used = db.execute(f"SELECT * FROM {table} WHERE id IN (SELECT {key} FROM snapshots)")
            held[table] = sorted(({**row, "id": 0} for row in map(dict, used)), key=lambda row: bytes(row["digest"]))
        ids = {key: dict(db.execute(f"SELECT id, digest FROM {table}").fetchall()) for table, key in shared}
        rows = [dict(row) for row in db.execute("SELECT * FROM snapshots ORDER BY symbol, observed_at")]
        held["snapshots"] = [row | {key: ids[key][row[key]] for key in ids} for row in rows]
        held["views"] = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY name").fetchall()
        held["views"] = [tuple(row) for row in held["views"]]
    return held


def unused(database: Path) -> int:
    """Return how many profiles and statements no snapshot refers to."""
    with closing(sqlite3.connect(database)) as db:
        counts = [
            db.execute(f"SELECT count(*) FROM {table} WHERE id NOT IN (SELECT {key} FROM snapshots)").fetchone()[0]
            for table, key in (("profiles", "profile_id"), ("statements", "statement_id"))
        ]
    return sum(counts)
