"""Checks of the files: the space for them, and who can read them."""

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.findings import Finding, Level
from pipeline.monitoring.checks import Kind
from pipeline.store.lock import lock_path

LITTLE_DISK, NO_DISK = 1_000_000_000, 100_000_000
"""Free bytes."""


def check_disk(database: Path) -> Iterator[Finding]:
    """Yield how much space is free where the database is or will be."""
    folder = next(parent for parent in database.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < NO_DISK:
        yield Finding(Kind.DISK, Level.PROBLEM, found, "free some space: nothing can be stored")
    elif free < LITTLE_DISK:
        yield Finding(Kind.DISK, Level.NOTE, found, "free some space soon")
    else:
        yield Finding(Kind.DISK, Level.OK, found)


def check_modes(database: Path) -> Iterator[Finding]:
    """Yield the private files that other users can access."""
    for file in (database, lock_path(database), Path(".env")):
        if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.filemode(file.stat().st_mode)
            yield Finding(Kind.MODES, Level.NOTE, f"{file} is {mode}: other users can access it", f"chmod 600 {file}")
