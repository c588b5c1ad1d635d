"""Files as a process leaves them that is killed while it writes: copied in the middle of a transaction."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_SUFFIXES = ("", "-journal", "-wal")


def copy_files(database: Path, target: Path) -> None:
    """Copy a database and what is beside it, but not -shm, which does not outlive a reboot."""
    for suffix in _SUFFIXES:
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copy(source, target.with_name(target.name + suffix))


def killed_while_writing(database: Path, target: Path) -> Path:
    """Copy a database in rollback mode to `target`, in the middle of a transaction that wrote over one of its tables.

    The journal is hot: without it the copy is damaged, as its schema still names that table's pages.
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        db.execute("BEGIN")
        db.execute("DROP TABLE fields")
        db.execute("CREATE TABLE half_done (n)")
        db.executemany("INSERT INTO half_done VALUES (?)", [("x" * 100,)] * 1_000)
        copy_files(database, target)
        db.execute("ROLLBACK")
    return target


def killed_after_commit(database: Path, target: Path) -> Path:
    """Copy a database to `target` whose newest run is in its WAL only."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("INSERT INTO runs (trigger, status) VALUES ('manual', 'complete')")
        copy_files(database, target)
    return target
