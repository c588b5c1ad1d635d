"""Migration files: the numbered scripts in SQL or Python that make the schema, and the checksum of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.store.migration_steps import Step

FOLDER = files.shipped("migrations", "migrations")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered script, such as `0002_ask.sql` or `0012_digests_by_name.py`. Once released it is never edited."""

    path: Path
    source: str

    @property
    def version(self) -> int:
        """The version of the schema that it makes."""
        return int(self.path.name[:4])

    @property
    def name(self) -> str:
        """What it is for, in a word or two."""
        return self.path.stem[5:]

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of its source, which shows whether a migration was edited."""
        return _checksum(self.source)

    @property
    def is_stepwise(self) -> bool:
        """Whether it is in Python: applied in many small transactions, not in one."""
        return self.path.suffix == ".py"

    def steps(self) -> Sequence[Step]:
        """Return the STEPS of a migration in Python."""
        names: dict[str, Any] = {}
        exec(compile(self.source, self.path, "exec"), names)  # noqa: S102 - our own file, and its checksum is of this source
        steps: Sequence[Step] = names["STEPS"]
        return steps


@cache  # each time that a database is opened, they are compared with those that it names
def _checksum(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


@cache
def shipped_migrations() -> tuple[Migration, ...]:
    """Return the migrations that this program comes with, in order. They are read once a process."""
    return read_migrations(FOLDER)


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """Return the migrations in a folder, in order."""
    scripts = sorted(path for path in folder.glob("[0-9][0-9][0-9][0-9]_*") if path.suffix in (".sql", ".py"))
    return tuple(Migration(path, path.read_text(encoding="utf-8")) for path in scripts)
